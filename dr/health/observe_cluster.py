"""The serving Cluster as ``dr health`` sees it: its status, server, volumes, backups and operators, and our own
credentials.

What is short-lived on purpose is left out: a token that a program of the kubeconfig fetches, or that was made for a
day's work.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from kubernetes.utils.quantity import parse_quantity

from dr.cnpg.cluster import ClusterSnapshot, cluster_behind
from dr.cnpg.clusters import (
    GROUP,
    PLURAL,
    VERSION,
    list_objects,
    plugin_fault,
    read_retention_policy,
    with_object_store,
)
from dr.cnpg.primary import SERVER, psql_of
from dr.config.environment import Environment
from dr.core.errors import AccessError
from dr.health.snapshot import (
    BackupObjects,
    BackupRun,
    DatabaseFacts,
    Identity,
    Operators,
    Program,
    Replica,
    Schedule,
    ServingCluster,
    Volume,
)
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import PodExec
from dr.kube.workloads import external_name
from dr.postgres.psql import CONTAINER
from dr.postgres.sql import literal

_GOOGLE_ACCOUNT = "iam.gke.io/gcp-service-account"
"""The annotation by which a service account stands for one of Google's (Workload Identity of GKE)."""


def find_serving(api: KubernetesApi, environment: Environment) -> ServingCluster:
    """The Cluster behind the Service, else the configured source. Raises AccessError, ``serving-cluster-missing`` when
    neither is there.
    """
    namespace = environment.namespace
    host = external_name(api, namespace, environment.service)
    wanted = cluster_behind(host or "", namespace)
    for name in dict.fromkeys([wanted, environment.source_cluster]):
        raw = _find(api, namespace, name) if name else None
        if raw is not None:
            cluster = with_object_store(api, ClusterSnapshot.from_object(raw))
            return ServingCluster.from_object(
                raw, cluster, external_name=host, retention_policy=_retention_policy(api, cluster)
            )
    raise AccessError(
        "serving-cluster-missing",
        f"the Service {namespace}/{environment.service} points to {host or 'nothing'}, and there is no Cluster "
        f"{namespace}/{environment.source_cluster}",
        f"{environment.commands.dr('latest')} recovers what was archived",
    )


def read_identity(api: KubernetesApi, cluster: ClusterSnapshot) -> Identity:
    """The service account of the Cluster's pods: by default it has the Cluster's name. Raises AccessError."""
    name = str(cluster.spec.get("serviceAccountName") or cluster.name)
    what = f"read the service account {cluster.namespace}/{name}"
    found = api.find(what, api.core.read_namespaced_service_account, name, cluster.namespace)
    annotations = (found.metadata.annotations or {}) if found else {}
    return Identity(account=name, found=found is not None, google=annotations.get(_GOOGLE_ACCOUNT, ""))


def _find(api: KubernetesApi, namespace: str, name: str) -> dict[str, Any] | None:
    where = (GROUP, VERSION, namespace, PLURAL, name)
    found: dict[str, Any] | None = api.find(
        f"read the Cluster {namespace}/{name}", api.custom.get_namespaced_custom_object, *where
    )
    return found


def _retention_policy(api: KubernetesApi, cluster: ClusterSnapshot) -> str:
    if cluster.plugin is None:
        return str((cluster.spec.get("backup") or {}).get("retentionPolicy") or "")
    return read_retention_policy(api, cluster.namespace, cluster.plugin.object_store)


_SECONDS = 10

_QUESTION = """SELECT json_build_object(
  'now', extract(epoch FROM clock_timestamp()),
  'position', pg_current_wal_lsn() - '0/0',
  'segmentSize', pg_size_bytes(current_setting('wal_segment_size')),
  'size', (SELECT sum(pg_database_size(oid)) FROM pg_database WHERE datallowconn),
  'walSize', (SELECT coalesce(sum(size), 0) FROM pg_ls_waldir()),
  'archiveTimeout', (SELECT setting::int FROM pg_settings WHERE name = 'archive_timeout'),
  'lastArchived', left(last_archived_wal, 24),
  'lastArchivedAt', extract(epoch FROM last_archived_time),
  'lastFailed', last_failed_wal,
  'lastFailedAt', extract(epoch FROM last_failed_time),
  'waiting', (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
  'waitingSince', (SELECT extract(epoch FROM min(modification)) FROM pg_ls_archive_statusdir()
    WHERE name LIKE '%.ready'),
  'replicas', (SELECT coalesce(json_agg(json_build_object('name', application_name, 'state', state,
    'lag', extract(epoch FROM replay_lag))), '[]') FROM pg_stat_replication WHERE application_name LIKE {standbys})
) FROM pg_stat_archiver"""


def ask_database(api: KubernetesApi, cluster: ClusterSnapshot, *, clock: Callable[[], datetime]) -> DatabaseFacts:
    """The facts of the primary of ``cluster``. Raises AccessError, ``no-primary`` when it has none."""
    psql = psql_of(api, cluster, SERVER)
    begun = clock()
    (answer,) = psql.ask(_QUESTION.format(standbys=literal(f"{cluster.name}-%")), limit=_SECONDS)
    return facts_of(json.loads(answer), asked_at=begun + (clock() - begun) / 2)


def facts_of(answer: dict[str, Any], *, asked_at: datetime) -> DatabaseFacts:
    """Read the database's answer."""
    return DatabaseFacts(
        asked_at=asked_at,
        now=datetime.fromtimestamp(answer["now"], UTC),
        position=int(answer["position"]),
        segment_size=int(answer["segmentSize"]),
        size=int(answer["size"]),
        wal_size=int(answer["walSize"]),
        archive_timeout=timedelta(seconds=answer["archiveTimeout"]),
        last_archived=answer["lastArchived"] or "",
        last_archived_at=_time(answer["lastArchivedAt"]),
        last_failed=answer["lastFailed"] or "",
        last_failed_at=_time(answer["lastFailedAt"]),
        waiting=int(answer["waiting"]),
        waiting_since=_time(answer["waitingSince"]),
        replicas=tuple(
            Replica(
                name=one["name"],
                state=one["state"],
                lag=None if one["lag"] is None else timedelta(seconds=one["lag"]),
            )
            for one in answer["replicas"]
        ),
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


_SNAPSHOT = "volumeSnapshot"
"""The method whose backups are in no bucket."""


def list_backup_objects(api: KubernetesApi, namespace: str, cluster: str) -> BackupObjects:
    """The Backups and ScheduledBackups of ``cluster``. Raises AccessError."""
    backups, scheduled = (list_objects(api, namespace, plural) for plural in ("backups", "scheduledbackups"))
    return BackupObjects(
        runs=tuple(
            sorted(
                (_run(raw) for raw in backups if raw["spec"]["cluster"]["name"] == cluster), key=lambda run: run.created
            )
        ),
        schedules=tuple(_schedule(raw) for raw in scheduled if raw["spec"]["cluster"]["name"] == cluster),
    )


def _run(raw: Mapping[str, Any]) -> BackupRun:
    metadata, status = raw["metadata"], raw.get("status") or {}
    return BackupRun(
        name=metadata["name"],
        phase=status.get("phase") or "",
        error=status.get("error") or "",
        backup_id="" if raw["spec"].get("method") == _SNAPSHOT else status.get("backupId") or "",
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        ended=_backups_time(status.get("stoppedAt")),
        in_bucket=raw["spec"].get("method") != _SNAPSHOT,
    )


def _schedule(raw: Mapping[str, Any]) -> Schedule:
    spec, status = raw["spec"], raw.get("status") or {}
    return Schedule(
        name=raw["metadata"]["name"],
        schedule=spec["schedule"],
        suspended=bool(spec.get("suspend")),
        next_at=_backups_time(status.get("nextScheduleTime")),
        in_bucket=spec.get("method") != _SNAPSHOT,
    )


def _backups_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


_OPERATOR, _PLUGIN = "cloudnative-pg", "plugin-barman-cloud"
"""The last part of their images' names."""


def find_operators(api: KubernetesApi, namespace: str, *, plugin_used: bool) -> Operators:
    """What is there of both. Raises AccessError."""
    what = f"list the Deployments in {namespace}"
    found = api.ask_plain(what, api.apps.list_namespaced_deployment, namespace)["items"]
    return Operators(
        operator=_program(found, _OPERATOR),
        plugin=_program(found, _PLUGIN),
        plugin_fault=plugin_fault(api) if plugin_used else "",
    )


def _program(deployments: list[Any], image: str) -> Program | None:
    for deployment in deployments:
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            name, tag = split_image(container["image"])
            if name == image:
                return Program(
                    name=deployment["metadata"]["name"],
                    version=tag,
                    ready=int((deployment.get("status") or {}).get("readyReplicas") or 0),
                )
    return None


def split_image(reference: str) -> tuple[str, str]:
    """The last part of an image's name, and its tag, empty where there is none."""
    name, _, tag = reference.partition("@")[0].rsplit("/", 1)[-1].partition(":")
    return name, tag


_DATA, _WAL = "/var/lib/postgresql/data", "/var/lib/postgresql/wal"
"""Where CloudNativePG mounts ``storage`` and ``walStorage`` (its ``pkg/specs/volumes.go``)."""


def ask_volumes(api: KubernetesApi, cluster: ClusterSnapshot, pods: Sequence[str]) -> tuple[Volume, ...]:
    """The volumes of each of ``pods``. Raises AccessError."""
    paths = [_DATA, *([_WAL] if cluster.spec.get("walStorage") else [])]
    with ThreadPoolExecutor(max_workers=4) as pool:
        claims = pool.submit(_claims, api, cluster)
        told = list(pool.map(lambda pod: _disk_free(api, cluster.namespace, pod, paths), pods))
    claimed = claims.result()
    return tuple(volume for pod, text in zip(pods, told, strict=True) for volume in volumes_of(pod, text, claimed))


def volumes_of(pod: str, text: str, claimed: Mapping[str, int]) -> Iterator[Volume]:
    """Read what ``df -P -B1`` printed in ``pod``. ``claimed`` is what each claim has, in bytes."""
    for line in text.splitlines()[1:]:
        _, _, used, free, _, path = line.split(maxsplit=5)
        claim = f"{pod}-wal" if path == _WAL else pod
        yield Volume(pod=pod, path=path, used=int(used), free=int(free), claimed=claimed.get(claim))


def _disk_free(api: KubernetesApi, namespace: str, pod: str, paths: Sequence[str]) -> str:
    what = f"see how full the volumes of {namespace}/{pod} are"
    ran = PodExec(api, namespace=namespace, pod=pod, container=CONTAINER).run(
        ["df", "-P", "-B1", *paths], what=what, limit=_SECONDS
    )
    if ran.code != 0:
        look = api.commands.kubectl("describe", "pod", pod, namespace=namespace)
        raise AccessError("df-failed", f"could not {what}: {ran.errors.strip()}", look)
    return ran.output


def _claims(api: KubernetesApi, cluster: ClusterSnapshot) -> dict[str, int]:
    """What each claim of the Cluster has, by its name: that of the pod, with ``-wal`` for its WAL."""
    found = api.ask(
        f"list the volumes of {cluster.namespace}/{cluster.name}",
        api.core.list_namespaced_persistent_volume_claim,
        cluster.namespace,
        label_selector=f"cnpg.io/cluster={cluster.name}",
    )
    return {
        claim.metadata.name: int(parse_quantity(claim.status.capacity["storage"]))
        for claim in found.items
        if claim.status.capacity
    }


_FOR_A_WHILE = timedelta(days=14)
"""What lives no longer is renewed as a matter of course."""


def own_ends(api: KubernetesApi) -> dict[str, datetime]:
    """The end of each credential of the context that has one, by what it is."""
    return dict(_ends(api))


def _ends(api: KubernetesApi) -> Iterator[tuple[str, datetime]]:
    certificate, token = api.lasting_credentials
    whose = f"of context {api.context}"
    if certificate:
        read = x509.load_pem_x509_certificate(Path(certificate).read_bytes())
        if read.not_valid_after_utc - read.not_valid_before_utc > _FOR_A_WHILE:
            yield f"the client certificate {whose}", read.not_valid_after_utc
    if token and (end := _end_of_token(token)):
        yield f"the token {whose}", end


def _end_of_token(token: str) -> datetime | None:
    """The ``exp`` of a JSON Web Token; None for a short-lived one, and for any other, which does not tell."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        end = datetime.fromtimestamp(claims["exp"], UTC)
        return end if end - datetime.fromtimestamp(claims["iat"], UTC) > _FOR_A_WHILE else None
    except (IndexError, ValueError, KeyError, TypeError):
        return None
