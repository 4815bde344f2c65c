"""Looking at the health of an environment: everything at once, with one limit of time, then judged. Changes nothing."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Generic, TypeVar

from dr.archive.bucket import BucketFacts
from dr.archive.reader import find_open
from dr.archive.store import store_of
from dr.archive.wal_reader import sampled
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.scratches import list_scratches
from dr.config.backup_location import BackupLocation
from dr.config.environment import Environment
from dr.config.names import DRILL, EXTRACTION
from dr.core.errors import AccessError, EngineError
from dr.engine.command import find_pulumi
from dr.engine.recovery_stack import RecoveryStack
from dr.gitops.argocd import managers_of
from dr.gitops.argocd_api import list_managers
from dr.gitops.argocd_pause import touched_by
from dr.health.check import Unavailable
from dr.health.evaluate import Health, judge
from dr.health.observe_cluster import (
    ask_database,
    ask_volumes,
    find_operators,
    find_serving,
    list_backup_objects,
    own_ends,
    read_identity,
)
from dr.health.snapshot import ArchiveSeen, HealthSnapshot, ServingCluster
from dr.kube.api import KubernetesApi
from dr.reports.document import ReportDocument, ReportFiles
from dr.reports.rto import coefficients_of
from dr.run.report_keeping import read_reports
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
    environment: Environment, session: Session | Unavailable, *, journal: Path, clock: Callable[[], datetime]
) -> Health:
    """The health of ``environment``. Never raises AccessError: what cannot be seen is a finding, and so is a
    ``session`` that could not be opened. Next to ``journal`` are the reports to learn from.
    """
    begun = time.monotonic()
    snapshot = observe(environment, session, journal=journal, clock=clock, until=begun + LOOK_SECONDS)
    return judge(environment, snapshot, seconds=time.monotonic() - begun)


def observe(
    environment: Environment,
    session: Session | Unavailable,
    *,
    journal: Path,
    clock: Callable[[], datetime],
    until: float,
) -> HealthSnapshot:
    """What is there now; ``until`` is the time of the monotonic clock at which the last look has to be done."""
    place, namespace = environment.backup, environment.namespace
    operators_in = environment.health.operator_namespace
    bucket = ConcurrentLookup("the bucket", lambda: read_bucket(place))
    record = _of(session, "the record", lambda seen: seen.records.read())
    scratches = _of(session, "the scratch Clusters", lambda seen: _scratches(seen.api, environment))
    drills = _of(session, "the reports of drills", lambda seen: read_reports(journal, lambda: seen.drills).documents)
    engine = ConcurrentLookup("Pulumi", lambda: see_engine(environment))
    # Whose backups and whose database: that is known only when the Cluster is.
    found = _of(session, "the Kubernetes API", lambda seen: _find(seen.api, environment))(until)
    serving = found if isinstance(found, Unavailable) else found.serving
    name = environment.source_cluster if isinstance(serving, Unavailable) else serving.cluster.name
    server_name = name if isinstance(serving, Unavailable) else serving.cluster.server_name or name

    archive = ConcurrentLookup("the bucket", lambda: _archive(place, server_name))
    objects = ConcurrentLookup("the bucket", lambda: base_backup_bytes(place, server_name))
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
        commands=environment.commands,
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
        engine=engine.result(until),
        own_ends={} if isinstance(session, Unavailable) else own_ends(session.api),
        seen_at=clock(),
    )


def _of(seen: S | Unavailable, what: str, call: Callable[[S], T]) -> Callable[[float], T | Unavailable]:
    """A look at ``what``, begun at once, that needs ``seen``; without that it is not seen either, for that reason."""
    if isinstance(seen, Unavailable):
        missing = seen
        return lambda _: missing
    there = seen
    return ConcurrentLookup(what, lambda: call(there)).result


def _find(api: KubernetesApi, environment: Environment) -> _Found:
    return _Found(api=api, serving=find_serving(api, environment))


def _kept(drills: tuple[ReportDocument, ...] | Unavailable, journal: Path) -> Sequence[ReportDocument]:
    """The reports to learn from: those of this machine alone where the cluster's are not seen."""
    return ReportFiles.beside(journal).read_all()[0] if isinstance(drills, Unavailable) else drills


def _scratches(api: KubernetesApi, environment: Environment) -> tuple[ClusterSnapshot, ...]:
    """What drills of this environment have made, and what extracts have: those do not say for which environment."""
    namespace = environment.namespace
    drilled = list_scratches(api, namespace, DRILL, environment=environment.name)
    extracted = list_scratches(api, namespace, EXTRACTION)
    return (*drilled, *extracted)


def _archive(place: BackupLocation, server_name: str) -> ArchiveSeen:
    opened, server_names = find_open(place, server_name)
    archive = sampled(opened) if opened else None
    return ArchiveSeen(server_name=server_name, archive=archive, server_names=server_names)


class ConcurrentLookup(Generic[T]):
    """One look, begun at once, in a thread of its own."""

    def __init__(self, what: str, call: Callable[[], T]) -> None:
        """``what`` says what is looked at: "the bucket"."""
        self._what = what
        self._call = call
        self._seen: list[T | Unavailable] = []
        self._fault: list[Exception] = []
        # A daemon: a process that is done should not wait for a server that never answers.
        self._thread = Thread(target=self._run, daemon=True, name=f"look-at-{what}")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._seen.append(self._call())
        except (AccessError, EngineError) as error:
            self._seen.append(Unavailable(code=error.code, why=error.cause, remedy=error.remedy))
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            self._fault.append(error)

    def result(self, until: float) -> T | Unavailable:
        """What was seen, or why not; ``until`` is a time of the monotonic clock. Raises what is not an AccessError."""
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._fault:
            raise self._fault[0]
        if self._seen:
            return self._seen[0]
        return Unavailable(
            code="no-answer",
            why=f"{self._what} did not answer in time",
            remedy="repeat the command; is something overloaded, or does a firewall drop packets?",
        )


def see_engine(environment: Environment) -> str:
    """What there is of Pulumi on this machine. One without the program is none that recovers, and nothing is wrong with
    that. Raises EngineError for what a run would lack.
    """
    try:
        installed = find_pulumi()
    except EngineError as error:
        if error.code == "pulumi-missing":
            return "not looked at: there is no pulumi on this machine, so that nothing is recovered from it"
        raise
    stack = RecoveryStack(environment, installed)
    stack.backend.check_passphrase(os.environ)
    stack.check(LOOK_SECONDS)
    return f"pulumi {installed.version}; the state of {environment.name} can be opened"


_DESCRIPTION = "backup.info"


def read_bucket(place: BackupLocation) -> BucketFacts:
    """The bucket's own settings. Raises AccessError as reading the bucket does."""
    return store_of(place).facts()


def base_backup_bytes(place: BackupLocation, server_name: str) -> Mapping[str, int]:
    """The bytes of every base backup of ``server_name``, by its ID, without its description. Raises AccessError."""
    prefix = f"{place.prefix}{server_name}/base/"
    sizes: dict[str, int] = {}
    for one in store_of(place).list_objects(prefix).objects:
        backup_id, _, name = one.name.removeprefix(prefix).partition("/")
        sizes[backup_id] = sizes.get(backup_id, 0) + (0 if name == _DESCRIPTION else int(one.size or 0))
    return sizes
