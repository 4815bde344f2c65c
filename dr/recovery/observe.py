"""Looking at everything a recovery decides on, at once: the parts that wait for different servers go side by side."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from dr.archive.wal_reader import archive_for
from dr.cnpg import volumes
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.cluster_copies import find_copy
from dr.cnpg.cluster_copy import StandIn, from_manifest
from dr.cnpg.clusters import find_cluster, gave_up, list_clusters, plugin_fault, with_object_store
from dr.cnpg.primary import SERVER, psql_of
from dr.cnpg.recovered import app_secret_name, ca_secret_name, has_own_authority, named_by
from dr.cnpg.volumes import list_snapshot_backups
from dr.config.backup_location import BackupLocation
from dr.core.errors import AccessError, RequestError
from dr.core.target import LaterCommits, RecoveryTarget, time_of
from dr.gitops.argocd_pause import managers
from dr.kube import workloads
from dr.kube.objects import CopiedSecret
from dr.kube.pod_exec import GONE
from dr.postgres.clients import Client
from dr.postgres.commits import commits_after
from dr.postgres.outside import OUTSIDE, Outside, read_outside
from dr.recovery.situation import RecoveryRequest, Situation
from dr.run.session import Session
from dr.traffic.clients import other_clients
from dr.traffic.writers import list_background_writers

_DATABASE_SECONDS = 10
_NOT_ALLOWED = {"forbidden", "token-expired"}
_NO_SERVER = "Is the server running"
"""psql's words where nobody listens at the socket (``fe-connect.c``)."""


def observe(session: Session, request: RecoveryRequest) -> Situation:
    """The situation now. Looks only. Raises AccessError when the cluster or the bucket cannot be reached."""
    environment, api = session.environment, session.api
    with ThreadPoolExecutor(max_workers=4) as pool:
        # The source first and alone: a dead API server or a wrong token should be reported once, and at once.
        source = find_cluster(api, environment.namespace, request.source)
        stand_in = None if source else request.stand_in or find_copy(environment.backup, request.source)
        source = source or (with_object_store(api, stand_in.cluster) if stand_in else None)
        server_name = (source.server_name if source else None) or request.source
        archive = pool.submit(_archive, environment.backup, server_name, request.target)
        database = pool.submit(ask_clock, session, source)
        commits_after_target = pool.submit(_later, session, source, request)
        outside = pool.submit(_ask_outside, session, source, request)
        around = pool.submit(_around, session, request.recovered_name, source)
        asked = database.result()
        # Kubernetes' failure before the bucket's, as it is the likelier cause of both.
        seen = around.result()
        clients: tuple[Client, ...] | None = ()
        if source is not None and not asked.down and not request.trial:
            writers = seen["workloads"].values()
            clients = other_clients(session, source, workloads=writers, held=seen["background_writers"])
        return Situation(
            seen_at=session.clock(),
            source=source,
            database_time=asked.moment,
            clock_ahead=asked.ahead,
            primary_down=asked.down,
            commits_after_target=commits_after_target.result(),
            stand_in_origin=stand_in.origin if stand_in else "",
            clients=clients,
            outside=outside.result(),
            **seen,
            **archive.result(),
        )


def _archive(place: BackupLocation, server_name: str, target: RecoveryTarget | None) -> dict[str, Any]:
    archive, catalogue = archive_for(place, server_name, target)
    return {"archive": archive, "catalogue": catalogue}


def _with_password(recovered: ClusterSnapshot | None) -> bool:
    """Whether the Cluster has, or will have, the copy of the password; a scratch Cluster has one of CloudNativePG's."""
    bootstrap = (recovered.spec.get("bootstrap") or {}) if recovered else {}
    return recovered is None or bool((bootstrap.get("recovery") or {}).get("secret"))


def _around(session: Session, recovered_name: str, source: ClusterSnapshot | None) -> dict[str, Any]:
    environment, api = session.environment, session.api
    namespace, writers = environment.namespace, environment.workloads
    recovered = find_cluster(api, namespace, recovered_name)
    background_writers = list_background_writers(api, environment, {source.name} if source else ())
    external_name, labels = workloads.name_and_labels(api, namespace, environment.service)
    classes = {name for name in (source.storage_classes if source else ()) if name}
    return {
        "recovered": recovered,
        "recovered_gave_up": recovered is not None and gave_up(api, recovered),
        "other_clusters": tuple(sorted(cluster.name for cluster in list_clusters(api, namespace))),
        "external_name": external_name,
        "service_labels": labels,
        "workloads": {name: workloads.read_deployment(api, writers.namespace, name) for name in writers.deployments},
        "app_secret_exists": source is not None
        and workloads.read_secret(api, namespace, source.app_secret) is not None,
        "password_copy": workloads.copied_credentials(
            api, namespace, source=source.app_secret, name=app_secret_name(recovered_name)
        )
        if source and _with_password(recovered)
        else CopiedSecret.MISSING,
        "authority_copy": workloads.copied_authority(
            api, namespace, source=ca_secret_name(source.name), name=ca_secret_name(recovered_name)
        )
        if source and has_own_authority(source.spec)
        else None,
        "missing_storage_classes": tuple(
            sorted(name for name in classes if not volumes.storage_class_exists(api, name))
        ),
        "volume_refusal": volumes.volume_refusal(api, source) if source and not recovered else "",
        "plugin_fault": plugin_fault(api) if source and source.plugin else "",
        "snapshots": list_snapshot_backups(api, source) if source else None,
        "record": session.records.read(),
        "argocd": managers(session, clusters=[source.name] if source else (), background_writers=background_writers),
        "background_writers": background_writers,
        "missing_secrets": tuple(
            name
            for name in (named_by(source.spec, source.store.definition if source.store else {}) if source else ())
            if workloads.read_secret(api, namespace, name) is None
        ),
    }


def _ask_outside(session: Session, source: ClusterSnapshot | None, request: RecoveryRequest) -> Outside | None:
    if request.trial:
        return Outside()  # a scratch Cluster is quiet whatever there is
    if source is None or source.primary is None:
        return None
    psql = psql_of(session.api, source, SERVER)
    try:
        (answer,) = psql.ask(OUTSIDE, limit=_DATABASE_SECONDS)
        return read_outside(answer)
    except (AccessError, ValueError):
        return None


def _later(session: Session, source: ClusterSnapshot | None, request: RecoveryRequest) -> LaterCommits | None:
    if request.drop is not None:
        return request.drop.left_out
    since = time_of(request.target)
    if source is None or source.primary is None or since is None:
        return None
    return commits_after(session.api, namespace=source.namespace, pod=source.primary, since=since)


@dataclass(frozen=True, kw_only=True)
class ClockAsked:
    """The clock of the source's primary (aware UTC), and by how much it is ahead of this machine's; None where it did
    not tell. ``down`` says that its PostgreSQL was seen not to run, or that there is none.
    """

    moment: datetime | None = None
    ahead: timedelta | None = None
    down: bool = False


def ask_clock(session: Session, source: ClusterSnapshot | None) -> ClockAsked:
    """Ask the source's primary. A dead one does not stop a recovery; one that could not be asked may be alive.

    Raises AccessError ``forbidden`` or ``token-expired``: this would be met again by every step that asks a database.
    """
    if source is None or source.primary is None:
        return ClockAsked(down=True)
    psql = psql_of(session.api, source, SERVER)
    asked = session.clock()
    try:
        (seconds,) = psql.ask("SELECT extract(epoch FROM clock_timestamp())", limit=_DATABASE_SECONDS)
        moment = datetime.fromtimestamp(float(seconds), UTC)
    except AccessError as error:
        if error.code in _NOT_ALLOWED:
            raise
        return ClockAsked(down=error.code in GONE or _NO_SERVER in error.cause)
    except ValueError:
        return ClockAsked()
    return ClockAsked(moment=moment, ahead=moment - (asked + (session.clock() - asked) / 2))


def read_manifest(file: str, *, name: str, namespace: str) -> StandIn:
    """The Cluster ``name`` of the manifest in ``file``, which may hold other objects too. Raises RequestError
    ``source-manifest-wrong``.
    """
    try:
        documents = [found for found in yaml.safe_load_all(Path(file).read_text(encoding="utf-8")) if found]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RequestError(
            "source-manifest-wrong", f"{file} cannot be read: {error}", "correct it; it is YAML"
        ) from error
    clusters = [found for found in documents if isinstance(found, dict) and found.get("kind") == "Cluster"]
    of_that_name = (found for found in clusters if (found.get("metadata") or {}).get("name") == name)
    return from_manifest(
        next(of_that_name, clusters[0] if clusters else None), name=name, namespace=namespace, where=file
    )
