"""Looking at the health of an environment: everything at once, then judged. Changes nothing, and needs no engine."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from dr.archive.archive_seen import sampled
from dr.archive.reader import find_open
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.scratches import list_scratches
from dr.config.environment import BackupPlace, Environment
from dr.config.names import DRILL, EXTRACTION
from dr.gitops.argocd import managers_of
from dr.gitops.argocd_api import list_managers
from dr.gitops.argocd_pause import touched_by
from dr.health.check import Unseen
from dr.health.credential_expiry import own_ends
from dr.health.evaluate import Health, judge
from dr.health.lookup import Look
from dr.health.observe_backups import list_backup_objects
from dr.health.observe_bucket import base_backup_bytes, read_bucket
from dr.health.observe_cluster import find_serving, read_identity
from dr.health.observe_database import ask_database
from dr.health.observe_operators import find_operators
from dr.health.snapshot import ArchiveSeen, HealthSnapshot, ServingCluster
from dr.health.volume_fill import ask_volumes
from dr.kube.api import KubernetesApi
from dr.reports.document import ReportDocument
from dr.reports.files import ReportFiles
from dr.reports.rto_reports import coefficients_of
from dr.run.reports import read_reports
from dr.run.session import Session

T = TypeVar("T")
S = TypeVar("S")

LOOK_SECONDS = 25.0
"""For everything together: a monitoring's own limit is often 30 or 60 s."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A Cluster, and the connection to it."""

    api: KubernetesApi
    serving: ServingCluster


def check(
    environment: Environment, session: Session | Unseen, *, journal: Path, clock: Callable[[], datetime]
) -> Health:
    """The health of ``environment``. Never raises AccessError: what cannot be seen is a finding, and so is a
    ``session`` that could not be opened. Beside ``journal`` lie the reports to learn from.
    """
    begun = time.monotonic()
    snapshot = observe(environment, session, journal=journal, clock=clock, until=begun + LOOK_SECONDS)
    return judge(environment, snapshot, seconds=time.monotonic() - begun)


def observe(
    environment: Environment,
    session: Session | Unseen,
    *,
    journal: Path,
    clock: Callable[[], datetime],
    until: float,
) -> HealthSnapshot:
    """What is there now; ``until`` is the time of the monotonic clock at which the last look has to be done."""
    place, namespace = environment.backup, environment.namespace
    operators_in = environment.health.operator_namespace
    bucket = Look("the bucket", lambda: read_bucket(place))
    record = _of(session, "the record", lambda seen: seen.records.read())
    scratches = _of(session, "the scratch Clusters", lambda seen: _scratches(seen.api, environment))
    drills = _of(session, "the reports of drills", lambda seen: read_reports(journal, lambda: seen.drills).documents)
    # Whose backups and whose database: that is known only when the Cluster is.
    found = _of(session, "the Kubernetes API", lambda seen: _find(seen.api, environment))(until)
    serving = found if isinstance(found, Unseen) else found.serving
    name = environment.source_cluster if isinstance(serving, Unseen) else serving.cluster.name
    server_name = name if isinstance(serving, Unseen) else serving.cluster.server_name or name

    archive = Look("the bucket", lambda: _archive(place, server_name))
    objects = Look("the bucket", lambda: base_backup_bytes(place, server_name))
    database = _of(found, "the database", lambda at: ask_database(at.api, at.serving.cluster, clock=clock))
    volumes = _of(found, "the volumes", lambda at: ask_volumes(at.api, at.serving.cluster, at.serving.pods))
    backups = _of(found, "the Backup objects", lambda at: list_backup_objects(at.api, namespace, name))
    identity = _of(found, "the service account", lambda at: read_identity(at.api, at.serving.cluster))
    operators = _of(
        found,
        "the operator's Deployment",
        lambda at: find_operators(at.api, operators_in, plugin_used=at.serving.cluster.plugin is not None),
    )
    argocd = _of(
        found,
        "Argo CD's Applications",
        lambda at: managers_of(touched_by(environment, [name]), list_managers(at.api)),
    )
    return HealthSnapshot(
        serving=serving,
        database=database(until),
        volumes=volumes(until),
        archive=archive.result(until),
        objects=objects.result(until),
        bucket=bucket.result(until),
        backups=backups(until),
        operators=operators(until),
        identity=identity(until),
        argocd=argocd(until),
        record=record(until),
        scratches=scratches(until),
        coefficients=coefficients_of(_kept(drills(until), journal)),
        own_ends={} if isinstance(session, Unseen) else own_ends(session.api),
        seen_at=clock(),
    )


def _of(seen: S | Unseen, what: str, call: Callable[[S], T]) -> Callable[[float], T | Unseen]:
    """A look at ``what``, begun at once, that needs ``seen``; without that it is not seen either, for that reason."""
    if isinstance(seen, Unseen):
        missing = seen
        return lambda _: missing
    there = seen
    return Look(what, lambda: call(there)).result


def _find(api: KubernetesApi, environment: Environment) -> _Found:
    return _Found(api=api, serving=find_serving(api, environment))


def _kept(drills: tuple[ReportDocument, ...] | Unseen, journal: Path) -> Sequence[ReportDocument]:
    """The reports to learn from: those of this machine alone where the cluster's are not seen."""
    return ReportFiles.beside(journal).read_all()[0] if isinstance(drills, Unseen) else drills


def _scratches(api: KubernetesApi, environment: Environment) -> tuple[ClusterSnapshot, ...]:
    """What drills of this environment have made, and what extracts have: those do not say for which environment."""
    namespace = environment.namespace
    drilled = list_scratches(api, namespace, DRILL, environment=environment.name)
    extracted = list_scratches(api, namespace, EXTRACTION)
    return (*drilled, *extracted)


def _archive(place: BackupPlace, server_name: str) -> ArchiveSeen:
    opened, server_names = find_open(place, server_name)
    archive = sampled(opened) if opened else None
    return ArchiveSeen(server_name=server_name, archive=archive, server_names=server_names)
