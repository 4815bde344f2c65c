"""What can be gone back to, by the in-tree object store and by the Barman Cloud plugin: same commands, same end.

Every test runs once with each. What only the plugin has is in test_plugin.py.
"""

import base64
import json
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.cli_runner import CliRunner, Outcome, await_health, fresh_dev, lab, put_back
from tests.support.waiting import stopwatch, wait_for

pytestmark = pytest.mark.long

IN_TREE, PLUGIN = "in-tree", "plugin"
BARMAN = "barman-cloud.cloudnative-pg.io"
REFUSED = 4
HEALTHY = "Cluster in healthy state"


@pytest.fixture(scope="module", params=[IN_TREE, PLUGIN])
def stored(request: pytest.FixtureRequest, lab_variables: dict[str, str]) -> Iterator[CliRunner]:
    """Dev, archiving by the one or by the other."""
    if request.param == IN_TREE:
        runner = fresh_dev(lab_variables)
    else:
        lab("reset", "--plugin")
        runner = CliRunner("dev", lab_variables, Path(lab_variables["DR_CONFIG_DIR"]))
    spec = (runner.cluster(runner.source) or {})["spec"]
    assert ("plugins" in spec, "backup" in spec) == (request.param == PLUGIN, request.param == IN_TREE), spec
    yield runner
    runner.end_started()
    lab("reset")


@pytest.fixture
def runner(stored: CliRunner) -> Iterator[CliRunner]:
    """The same, with nothing recovered yet, and the writers at work."""
    with put_back(stored):
        yield stored


def base_backup(runner: CliRunner) -> str:
    """The ID of the newest base backup."""
    (archive,) = runner.dr("window", "--env", "dev", "--server-name", runner.source).document["archives"]
    return str(archive["backups"][-1]["id"])


def rows(runner: CliRunner, label: str) -> str:
    """Which of a test's rows were recovered."""
    found = f"SELECT string_agg(worker, ', ' ORDER BY id) FROM jobs WHERE worker LIKE '{label}: %'"
    return runner.psql(runner.recovered, found)


def write(runner: CliRunner, label: str, what: str, returning: str = "NULL") -> str:
    """A row, in a transaction of its own; returns what is asked about it."""
    text = f"INSERT INTO jobs (worker) VALUES ('{label}: {what}') RETURNING {returning}"
    return runner.psql(runner.source, text)


def recover(runner: CliRunner, *words: str) -> Outcome:
    outcome = runner.dr("pitr", "--env", "dev", *words, "--yes")
    assert outcome.code == 0, outcome
    return outcome


def test_a_position_in_the_wal(runner: CliRunner) -> None:
    write(runner, "lsn", "at")
    position = runner.psql(runner.source, "SELECT pg_current_wal_lsn()")
    write(runner, "lsn", "after")
    recover(runner, "--target-lsn", position, "--timeline", "1")
    assert rows(runner, "lsn") == "lsn: at"


@pytest.mark.parametrize(
    ("option", "kept"), [((), "xid: before, xid: at"), (("--exclusive",), "xid: before")], ids=["with it", "without it"]
)
def test_a_transaction(runner: CliRunner, option: tuple[str, ...], kept: str) -> None:
    runner.psql(runner.source, "DELETE FROM jobs WHERE worker LIKE 'xid: %'")
    write(runner, "xid", "before")
    transaction = write(runner, "xid", "at", "txid_current()")
    write(runner, "xid", "after")
    without = runner.dr("pitr", "--env", "dev", "--target-xid", transaction, *option, "--yes")
    assert without.code != 0, "CloudNativePG cannot choose a base backup for a transaction"
    assert "--backup-id" in without.document["problems"][0]["remedy"], without
    recover(runner, "--target-xid", transaction, "--backup-id", base_backup(runner), *option)
    assert rows(runner, "xid") == kept


def test_the_end_of_a_base_backup(runner: CliRunner) -> None:
    write(runner, "immediate", "after")
    recover(runner, "--target-immediate", "--backup-id", base_backup(runner))
    assert rows(runner, "immediate") == ""
    assert int(runner.psql(runner.recovered, "SELECT count(*) FROM users")) >= 100_000


def test_a_mark_by_the_command_that_was_printed(runner: CliRunner) -> None:
    # GIVEN a mark between two rows
    name = "before migration 42"
    write(runner, "mark", "before")
    made = runner.dr("mark", name, "--env", "dev")
    write(runner, "mark", "after")
    assert made.code == 0, made
    (mark,) = made.document["marks"]
    assert mark["archived"] is True
    # THEN it is kept in the record, with the command
    assert mark in runner.dr("mark", "--list", "--env", "dev").document["marks"]
    # AND its name cannot be used again
    again = runner.dr("mark", name, "--env", "dev")
    assert (again.code, again.problem_codes) == (REFUSED, ["mark-exists"])
    # WHEN the command is given
    words = shlex.split(mark["command"])
    assert words[:4] == ["python", "-m", "dr", "pitr"]
    outcome = runner.dr(*words[3:], "--yes")
    # THEN
    assert outcome.code == 0, outcome
    assert rows(runner, "mark") == "mark: before"


class Writer:
    """A client that writes through the API as fast as it is answered, and remembers what was acknowledged."""

    def __init__(self, url: str) -> None:
        self.acknowledged: list[int] = []
        self.refused = 0
        self._url = url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._over.is_set():
                try:
                    answer = client.post(self._url)
                except httpx.HTTPError:
                    self.refused += 1
                    time.sleep(0.05)
                    continue
                if answer.status_code == httpx.codes.CREATED:
                    self.acknowledged.append(answer.json()["id"])


def test_latest_has_every_row_that_was_acknowledged_until_the_writers_were_stopped(runner: CliRunner) -> None:
    url = runner.health_url()
    assert await_health(url, 200).status_code == httpx.codes.OK
    with Writer(url.removesuffix("/health") + "/users") as writer:
        wait_for(lambda: writer.acknowledged)
        outcome = runner.dr("latest", "--env", "dev", "--yes")

    assert outcome.code == 0, outcome
    assert outcome.document["target"] == "latest"
    # THEN it was writing when it was stopped, and every row that it was promised is there
    assert writer.acknowledged
    assert writer.refused > 0
    ids = ",".join(map(str, writer.acknowledged))
    found = runner.psql(runner.recovered, f"SELECT count(*) FROM users WHERE id IN ({ids})")
    assert int(found) == len(writer.acknowledged)
    assert int(runner.psql(runner.recovered, "SELECT max(id) FROM users")) >= writer.acknowledged[-1]


def test_a_table_before_its_drop_that_nobody_knows_the_time_of(
    runner: CliRunner, record_testsuite_property: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    runner.psql(runner.source, "CREATE TABLE lost AS SELECT generate_series(1, 1000) AS id")
    write(runner, "drop", "before")
    runner.psql(runner.source, "DROP TABLE lost")
    write(runner, "drop", "after")
    took = stopwatch()
    recover(runner, "--before-drop", "lost")
    whole = took()
    record_testsuite_property(f"{request.node.name}: from the command to verified", whole)
    print(f"\nfrom the command to verified: {whole}")
    assert rows(runner, "drop") == "drop: before"
    assert runner.psql(runner.recovered, "SELECT count(*) FROM lost") == "1000"


EVERYTHING = {
    "imageName": None,
    "imageCatalogRef": {"apiGroup": "postgresql.cnpg.io", "kind": "ImageCatalog", "name": "approved", "major": 15},
    "walStorage": {"size": "1Gi", "storageClass": "lab"},
    "tablespaces": [{"name": "history", "storage": {"size": "1Gi", "storageClass": "lab"}}],
    "managed": {"roles": [{"name": "reporting", "login": True, "connectionLimit": 5, "inRoles": ["pg_read_all_data"]}]},
    "affinity": {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "cloud.google.com/gke-spot", "operator": "Exists", "effect": "NoSchedule"}],
    },
    "serviceAccountTemplate": {"metadata": {"annotations": {"iam.gke.io/gcp-service-account": "backups@acme"}}},
    "monitoring": {"customQueriesConfigMap": [{"name": "questions", "key": "questions.yaml"}]},
}
"""What a source may have besides, and has to be in a Cluster that is recovered from it."""

BESIDE = """
apiVersion: postgresql.cnpg.io/v1
kind: ImageCatalog
metadata: {{name: approved, namespace: data}}
spec: {{images: [{{major: 15, image: "{image}"}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: questions, namespace: data}}
data: {{questions.yaml: "one: {{query: SELECT 1 AS one, metrics: [{{one: {{usage: GAUGE}}}}]}}"}}
"""


@pytest.fixture
def furnished(runner: CliRunner) -> CliRunner:
    """The source with all of that, a table in its tablespace, and a base backup since."""
    image = (runner.cluster(runner.source) or {})["spec"].get("imageName")
    runner.apply(BESIDE.format(image=image))
    # While somebody is connected, an instance waits three minutes before it restarts.
    runner.kubectl("scale", "deployment", "tomoda-api", "tomoda-async", "-n", "dev", "--replicas=0")
    runner.kubectl(
        "patch", "cluster", runner.source, "-n", "data", "--type=merge", "-p", json.dumps({"spec": EVERYTHING})
    )

    def has_it_all() -> bool:
        found = (runner.cluster(runner.source) or {})["status"]
        made = {one["name"]: one["state"] for one in found.get("tablespacesStatus") or ()}
        own = is_written_by_its_own_volume(runner, runner.source)
        return found["phase"] == HEALTHY and made.get("history") == "reconciled" and own

    wait_for(has_it_all)
    runner.kubectl("scale", "deployment", "tomoda-api", "tomoda-async", "-n", "dev", "--replicas=2")
    runner.psql(runner.source, "CREATE TABLE past TABLESPACE history AS SELECT generate_series(1, 1000) AS id")
    back_up(runner, "furnished")
    return runner


def back_up(runner: CliRunner, name: str) -> None:
    """Have a base backup of this name."""
    spec: dict[str, Any] = {"method": "barmanObjectStore", "cluster": {"name": runner.source}}
    if "plugins" in (runner.cluster(runner.source) or {})["spec"]:
        spec |= {"method": "plugin", "pluginConfiguration": {"name": BARMAN}}
    metadata = {"name": name, "namespace": "data"}
    runner.apply(
        json.dumps({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup", "metadata": metadata, "spec": spec})
    )
    done = "--for=jsonpath={.status.phase}=completed"
    runner.kubectl("wait", f"backup/{name}", "-n", "data", done, "--timeout=300s")


def is_written_by_its_own_volume(runner: CliRunner, cluster: str) -> bool:
    """Whether a Cluster's WAL lies on a volume of its own."""
    found = runner.in_pod(f"{cluster}-1", "readlink", "-f", "/var/lib/postgresql/data/pgdata/pg_wal")
    return found.stdout.startswith("/var/lib/postgresql/wal/")


def test_all_that_a_source_can_have_is_in_what_is_recovered_from_it(furnished: CliRunner) -> None:
    runner = furnished
    # WHEN
    recover(runner, "--target-time", runner.database_time())
    # THEN it is declared
    source, made = ((runner.cluster(name) or {})["spec"] for name in (runner.source, runner.recovered))
    for key in (*EVERYTHING, "storage", "resources"):
        assert made.get(key) == source.get(key), key
    # AND it is there
    assert is_written_by_its_own_volume(runner, runner.recovered)
    assert runner.psql(runner.recovered, "SELECT count(*) FROM past") == "1000"
    asked = "SELECT spcname FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE relname = 'past'"
    assert runner.psql(runner.recovered, asked) == "history"
    role = "SELECT rolcanlogin, rolconnlimit, pg_has_role('reporting', 'pg_read_all_data', 'member') FROM pg_roles"
    assert runner.psql(runner.recovered, f"{role} WHERE rolname = 'reporting'") == "t|5|t"
    account = runner.kubectl(
        "get", "serviceaccount", runner.recovered, "-n", "data", "-o", "jsonpath={.metadata.annotations}"
    )
    assert json.loads(account)["iam.gke.io/gcp-service-account"] == "backups@acme"
    volumes = runner.kubectl("get", "pvc", "-n", "data", "-l", f"cnpg.io/cluster={runner.recovered}", "-o", "name")
    assert len(volumes.splitlines()) == 3


def test_a_deleted_cluster_comes_back_from_its_archive_and_its_copy(stored: CliRunner) -> None:
    # GIVEN a recovery, which keeps a copy of how the source runs, and then the deletion of both Clusters
    dev = stored
    found = json.loads(dev.kubectl("get", "secret", "postgres-dev-app", "-n", "data", "-o", "json"))["data"]
    recover(dev, "--target-time", dev.database_time())
    users = dev.psql(dev.source, "SELECT count(*) FROM users")
    spec = (dev.cluster(dev.source) or {})["spec"]
    dev.delete_recovered()
    dev.kubectl("delete", "cluster", dev.source, "-n", "data")

    # WHEN it is recovered, it says what is missing: a backup holds no Secrets
    refused = dev.dr("latest", "--env", "dev", "--yes")
    assert (refused.code, refused.problem_codes) == (REFUSED, ["secret-missing"])
    given = [f"--from-literal={key}={base64.b64decode(found[key]).decode()}" for key in ("username", "password")]
    words = ("create", "secret", "generic", "postgres-dev-app", "-n", "data", "--type=kubernetes.io/basic-auth")
    dev.kubectl(*words, *given)
    again = dev.dr("latest", "--env", "dev", "--yes")

    # THEN
    assert again.code == 0, again
    cluster = again.document["cluster"]
    assert dev.psql(cluster, "SELECT count(*) FROM users") == users
    made = (dev.cluster(cluster) or {})["spec"]
    assert made["postgresql"]["parameters"] == spec["postgresql"]["parameters"]
    for key in (*EVERYTHING, "storage"):
        assert made.get(key) == spec.get(key), key
    assert ("plugins" in made) == ("plugins" in spec)
    moved = dev.move("switchover", "--env", "dev", "--yes")
    assert moved.code == 0, moved
