"""Makes the lab's data, waits until it is worth recovering, and puts it back.

It is made once. A later `up` leaves it alone, since by then a recovery may have changed it on purpose; `reset` is what
puts it back.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from lab import manifests, versions
from lab.cache_keys import content_key
from lab.cluster import Cluster, Document, condition
from lab.data.environments import DATABASE, DATABASES, ENVIRONMENTS, OWNER, Environment
from lab.errors import LabError
from lab.paths import State
from lab.platform import gcs, secrets

FOLDER = Path(__file__).parent
SEED = FOLDER / "seed.sql"
DATABASE_FOLDER = "postgres"
MANIFESTS = FOLDER / "manifests"
"""One folder for each Application of an environment: what the lab applies by itself, and what it puts into Git."""
BY_PLUGIN = FOLDER / "by_plugin"
"""What stands in for manifests of `postgres`, or beside them, where the Barman Cloud plugin archives."""
PLUGIN_ENVIRONMENT = "dev"
"""The environment that archives by the plugin after `reset --plugin`."""
CNPG = "postgresql.cnpg.io/v1"
HEALTHY = "Cluster in healthy state"
UNRECOVERABLE = "Cluster is unrecoverable and needs manual intervention"
"""Phases of a Cluster: `api/v1/cluster_types.go` of CNPG."""

CLUSTER_WITHIN = 300.0
BACKUP_WITHIN = 300.0
WORKLOADS_WITHIN = 120.0

Note = Callable[[str], None]


def key(*, by_plugin: bool = False) -> str:
    """Of everything that the data is made from; a comment in a manifest is no part of it."""
    objects = json.dumps([objects_of(environment, by_plugin=by_plugin) for environment in ENVIRONMENTS], sort_keys=True)
    return content_key(SEED, objects, FOLDER / "app", versions.POSTGRES_IMAGE)


def files_of(environment: Environment, folder: str, *, by_plugin: bool = False) -> list[Path]:
    """The manifests of one folder of `MANIFESTS` for an environment, by name."""
    found = {file.name: file for file in (MANIFESTS / folder).glob("*.yaml")}
    if by_plugin and folder == DATABASE_FOLDER and environment.name == PLUGIN_ENVIRONMENT:
        found |= {file.name: file for file in BY_PLUGIN.glob("*.yaml")}
    return [found[name] for name in sorted(found)]


def objects_of(environment: Environment, *, by_plugin: bool = False) -> list[Document]:
    """Every object of an environment that a manifest describes."""
    values = values_of(environment)
    folders = sorted(folder.name for folder in MANIFESTS.iterdir())
    files = [file for folder in folders for file in files_of(environment, folder, by_plugin=by_plugin)]
    return [found for file in files for found in manifests.read(file, **values)]


def by_plugin(where: State) -> bool:
    """Whether the data was made with one database that archives by the plugin."""
    return where.plugin_mark.exists()


def as_sources_make_it(where: State) -> bool:
    """Whether the data is complete, and of these very sources."""
    return where.data_mark.exists() and where.data_mark.read_text() == key(by_plugin=by_plugin(where))


def make(where: State, cancelled: threading.Event, note: Note, *, by_plugin: bool = False) -> None:
    """Make both environments, side by side; with `by_plugin`, `PLUGIN_ENVIRONMENT` archives by the plugin.

    Raises:
        LabError: a database, its first backup or its workloads did not come up in time.
    """
    cluster = Cluster(where, cancelled)
    cluster.apply(namespaces())
    cluster.apply([_config_map("postgres-seed", DATABASES, {"seed.sql": SEED.read_text()})])
    with ThreadPoolExecutor() as pool:
        made = [
            pool.submit(_make_environment, Cluster(where, cancelled), found, note, by_plugin=by_plugin)
            for found in ENVIRONMENTS
        ]
    for outcome in made:
        outcome.result()
    if by_plugin:
        where.plugin_mark.touch()
    where.data_mark.write_text(key(by_plugin=by_plugin))


def namespaces() -> list[Document]:
    """Those of the databases and of each environment's workloads."""
    return [_namespace(name) for name in (DATABASES, *(environment.name for environment in ENVIRONMENTS))]


def foundation() -> list[Document]:
    """What the manifests need to be there: elsewhere it is in images, or made by hand on the first day.

    A database that is made anew from this has its tables and no row in them, as after an application's migrations.
    """
    empty = {"seed.sql": without_rows(SEED.read_text())}
    found = [*namespaces(), _config_map("postgres-seed", DATABASES, empty)]
    return found + [_programs(environment) for environment in ENVIRONMENTS]


def without_rows(sql: str) -> str:
    """The statements that make tables, without those that fill them."""
    kept = [statement for statement in sql.split(";\n") if "INSERT INTO" not in statement]
    return ";\n".join(kept)


def values_of(environment: Environment) -> dict[str, str]:
    """What fills the places in the manifests."""
    return {
        "api_address": environment.api_address,
        "bucket": gcs.BUCKET,
        "cluster": environment.cluster,
        "database": DATABASE,
        "databases": DATABASES,
        "environment": environment.name,
        "gcs": gcs.URL,
        "image": versions.POSTGRES_IMAGE,
        "owner": OWNER,
        "secret": environment.secret,
        "service": environment.service,
    }


def _make_environment(cluster: Cluster, environment: Environment, note: Note, *, by_plugin: bool) -> None:
    values = values_of(environment)
    database = {file.name: file for file in files_of(environment, DATABASE_FOLDER, by_plugin=by_plugin)}
    note("starting the databases")
    for name in ("objectstore.yaml", "cluster.yaml"):
        if name in database:
            cluster.apply(manifests.read(database[name], **values))
    cluster.wait(
        CNPG,
        "Cluster",
        environment.cluster,
        DATABASES,
        _archives,
        timeout=CLUSTER_WITHIN,
        what=f"starting database {environment.cluster}",
        explain=lambda found: str((found.get("status") or {}).get("phase")),
    )
    note("backing up, starting the workloads")
    cluster.apply(manifests.read(database["backup.yaml"], **values))
    _copy_secret(cluster, environment)
    cluster.apply([_programs(environment)])
    for file in (database["service.yaml"], *files_of(environment, "apps")):
        cluster.apply(manifests.read(file, **values))
    _await_backup(cluster, environment)
    for name in ("tomoda-api", "tomoda-async"):
        cluster.wait(
            "apps/v1",
            "Deployment",
            name,
            environment.name,
            lambda found: (found.get("status") or {}).get("readyReplicas") == found["spec"]["replicas"],
            timeout=WORKLOADS_WITHIN,
            what=f"starting {name} of {environment.name}",
        )
    _await_health(environment)


def _await_health(environment: Environment) -> None:
    """The proof of the whole chain: address, DNS, Secret, database and table."""
    deadline = time.monotonic() + WORKLOADS_WITHIN
    while True:
        try:
            answer = httpx.get(environment.health_url, timeout=5, trust_env=False)
            if answer.status_code == httpx.codes.OK:
                return
            seen = answer.text
        except httpx.HTTPError as error:
            seen = str(error)
        if time.monotonic() > deadline:
            remedy = (
                "see the API's log: `python -m lab exec -- kubectl --context lab-dev -n dev logs deploy/tomoda-api`"
            )
            raise LabError(f"asking the API of {environment.name} for its health", seen, remedy)
        time.sleep(0.2)


def _archives(found: Document) -> bool:
    phase = (found.get("status") or {}).get("phase")
    if phase == UNRECOVERABLE:
        name = found["metadata"]["name"]
        reason = str(found["status"].get("phaseReason"))
        raise LabError(f"starting database {name}", reason, "see the logs of its pods, then `python -m lab reset`")
    return bool(phase == HEALTHY and condition(found, "ContinuousArchiving") == "True")


def _await_backup(cluster: Cluster, environment: Environment) -> None:
    """Wait for the condition that CNPG sets when a base backup is complete (`LastBackupSucceeded`)."""

    def done(found: Document) -> bool:
        for item in (found.get("status") or {}).get("conditions") or []:
            # While the backup runs the condition is False too, with reason BackupStarted.
            if item["type"] == "LastBackupSucceeded" and item.get("reason") == "LastBackupFailed":
                remedy = "see the log of the database's pod, then `python -m lab reset`"
                raise LabError(what, str(item.get("message")), remedy)
        return condition(found, "LastBackupSucceeded") == "True"

    what = f"backing up {environment.cluster}"
    cluster.wait(CNPG, "Cluster", environment.cluster, DATABASES, done, timeout=BACKUP_WITHIN, what=what)


def _copy_secret(cluster: Cluster, environment: Environment) -> None:
    """Secrets do not cross namespaces. `secrets` copies this one too, when it sees it; here it is waited for."""
    found = cluster.get("v1", "Secret", environment.secret, DATABASES)
    if found is None:
        raise LabError(
            f"giving the workloads of {environment.name} their password",
            f"CNPG made no Secret {environment.secret}",
            "see the operator's log: `python -m lab exec -- kubectl --context lab-dev -n cnpg-system logs -l "
            "app.kubernetes.io/name=cloudnative-pg`",
        )
    cluster.apply([secrets.copy_of(found, environment)])


def _programs(environment: Environment) -> Document:
    """The workloads' programs, which elsewhere are in their images."""
    scripts = {file.name: file.read_text() for file in sorted((FOLDER / "app").glob("*.py"))}
    return _config_map("tomoda-app", environment.name, scripts)


def _namespace(name: str) -> Document:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _config_map(name: str, namespace: str, data: dict[str, str]) -> Document:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
