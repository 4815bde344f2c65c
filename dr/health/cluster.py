"""Health of the Cluster itself, and of what stands around it: instances, volumes, clocks, Argo CD. Pure."""

from collections.abc import Iterator
from datetime import timedelta

from dr.config.environment import Environment
from dr.config.health import HealthSettings
from dr.core.text import format_duration
from dr.gitops.argocd import Manager
from dr.health.check import Check, State, Unavailable, graded, worst
from dr.health.snapshot import HealthSnapshot, Volume
from dr.run.record import Record

_GONE = {"api-unreachable", "cnpg-missing", "serving-cluster-missing"}
_STREAMING = "streaming"
_SCRATCH_LIVES = timedelta(hours=6)
"""The longest that a drill or an extract may take."""


def checks_of_cluster(snapshot: HealthSnapshot, environment: Environment) -> Iterator[Check]:
    """The checks ``cluster``, ``replication``, ``volumes``, ``clock``, ``operation``, ``leftovers`` and ``argocd``."""
    settings = environment.health
    yield _cluster(snapshot, environment)
    yield _replication(snapshot, settings)
    yield _volumes(snapshot, settings)
    yield _clock(snapshot, settings)
    yield _operation(snapshot, environment)
    yield _leftovers(snapshot, environment)
    yield _argocd(snapshot)


def _cluster(snapshot: HealthSnapshot, environment: Environment) -> Check:
    name, serving = "cluster", snapshot.serving
    if isinstance(serving, Unavailable):
        state = State.CRITICAL if serving.code in _GONE else State.UNKNOWN
        return Check(name=name, state=state, message=serving.why, remedy=serving.remedy)
    say, cluster, service = snapshot.commands, serving.cluster, f"{environment.namespace}/{environment.service}"
    if not serving.serves:
        points = f"points to {serving.external_name}" if serving.external_name else "is not there, or of another type"
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"the Service {service} {points}, which is not a Cluster of this namespace",
            remedy=f"{say.dr('status')} shows where it should point; {say.dr('switchover')} moves it",
        )
    if not cluster.healthy:
        return Check(
            name=name,
            state=State.CRITICAL if serving.ready_instances == 0 else State.WARNING,
            message=f"{cluster.name} is not healthy: {cluster.phase or 'no phase'} {cluster.phase_reason}".rstrip(),
            remedy=f"{say.kubectl('describe', 'cluster', cluster.name, namespace=cluster.namespace)}; "
            + say.dr("diagnose"),
        )
    return Check(name=name, state=State.OK, message=f"{cluster.name} serves the traffic, and is healthy")


def _replication(snapshot: HealthSnapshot, settings: HealthSettings) -> Check:
    name, serving, database = "replication", snapshot.serving, snapshot.database
    if isinstance(serving, Unavailable):
        return serving.as_check(name)
    say, cluster = snapshot.commands, serving.cluster
    if serving.ready_instances < serving.instances:
        return Check(
            name=name,
            state=State.CRITICAL if serving.ready_instances == 0 else State.WARNING,
            message=f"{serving.ready_instances} of {serving.instances} instances are ready",
            remedy=say.kubectl("get", "pods", "-l", f"cnpg.io/cluster={cluster.name}", namespace=cluster.namespace),
        )
    if serving.instances == 1:
        return Check(name=name, state=State.OK, message="one instance, so no replica is expected")
    if isinstance(database, Unavailable):
        return database.as_check(name)
    streaming = [replica for replica in database.replicas if replica.state == _STREAMING]
    if len(streaming) < serving.instances - 1:
        return Check(
            name=name,
            state=State.WARNING,
            message=f"{len(streaming)} of {serving.instances - 1} replicas stream",
            remedy=f"{say.kubectl('cnpg', 'status', cluster.name, namespace=cluster.namespace)}; "
            "a replica that cannot catch up is recreated",
        )
    lag = max((replica.lag.total_seconds() for replica in streaming if replica.lag), default=0.0)
    state = graded(lag, settings.replication_lag_seconds)
    return Check(
        name=name,
        state=state,
        message=f"{len(streaming)} replicas stream, at most {format_duration(lag)} behind",
        remedy="" if state is State.OK else "a long transaction or a slow disk? A failover would lose time, not data",
        values={"replication_lag_seconds": lag},
    )


def _volumes(snapshot: HealthSnapshot, settings: HealthSettings) -> Check:
    name, seen = "volumes", snapshot.volumes
    if isinstance(seen, Unavailable):
        return seen.as_check(name)
    if not seen:
        return Check(name=name, state=State.UNKNOWN, message="no instance reported its volumes", remedy="see the pods")
    filled = {volume: _percent(volume, snapshot) for volume in seen}
    fullest = max(filled, key=filled.__getitem__)
    state = graded(filled[fullest], settings.volume_percent)
    return Check(
        name=name,
        state=state,
        message=f"the fullest is {fullest.path} of {fullest.pod}, {filled[fullest]:.0f} %",
        remedy="enlarge it: spec.storage.size or spec.walStorage.size; WAL that is not archived is kept, too"
        if state is not State.OK
        else "",
        values={"volume_used_ratio": round(filled[fullest] / 100, 4)},
    )


def _percent(volume: Volume, snapshot: HealthSnapshot) -> float:
    """How full, by the file system, or by what its claim grants, which a file system that is shared does not know."""
    by_files = 100 * volume.used / max(1, volume.used + volume.free)
    database, serving = snapshot.database, snapshot.serving
    if volume.claimed is None or isinstance(database, Unavailable) or isinstance(serving, Unavailable):
        return by_files
    if volume.pod != serving.cluster.primary:
        return by_files
    separate = bool(serving.cluster.spec.get("walStorage"))
    held = database.size + (0 if separate else database.wal_size)
    if volume.path.endswith("/wal"):
        held = database.wal_size
    return max(by_files, 100 * held / max(1, volume.claimed))


def _clock(snapshot: HealthSnapshot, settings: HealthSettings) -> Check:
    name, database = "clock", snapshot.database
    if isinstance(database, Unavailable):
        return database.as_check(name)
    skew = (database.now - database.asked_at).total_seconds()
    state = graded(abs(skew), settings.clock_skew_seconds)
    return Check(
        name=name,
        state=state,
        message=f"the database's clock is {format_duration(abs(skew))} "
        f"{'ahead of' if skew >= 0 else 'behind'} this machine's",
        remedy="set the clock that is wrong (NTP): a target time means the database's clock"
        if state is not State.OK
        else "",
        values={"clock_skew_seconds": skew},
    )


def _operation(snapshot: HealthSnapshot, environment: Environment) -> Check:
    name, record = "operation", snapshot.record
    if isinstance(record, Unavailable):
        return record.as_check(name)
    if record is None or record.unfinished is None:
        return Check(name=name, state=State.OK, message="no operation is unfinished")
    last = record.unfinished
    return Check(
        name=name,
        state=State.WARNING,
        message=f"{last.operation} by {last.user} is not done since "
        f"{format_duration(snapshot.seen_at - last.started)}: "
        f"{last.outcome}",
        remedy=f"{environment.commands.dr('status')} says what next",
    )


def _leftovers(snapshot: HealthSnapshot, environment: Environment) -> Check:
    name, scratches = "leftovers", snapshot.scratches
    if isinstance(scratches, Unavailable):
        return scratches.as_check(name)
    left = [cluster for cluster in scratches if snapshot.seen_at - cluster.created > _SCRATCH_LIVES]
    if not left:
        return Check(name=name, state=State.OK, message="no scratch Cluster was left")
    return Check(
        name=name,
        state=State.WARNING,
        message=f"the scratch Cluster {left[0].name} was left "
        f"{format_duration(snapshot.seen_at - left[0].created)} ago",
        remedy=f"{environment.commands.dr('drill')} removes what an earlier one has left, and so does extract",
    )


def _argocd(snapshot: HealthSnapshot) -> Check:
    name, managers = "argocd", snapshot.argocd
    if isinstance(managers, Unavailable):
        return managers.as_check(name)
    if not managers:
        return Check(name=name, state=State.OK, message="Argo CD manages nothing of this environment")
    ours = snapshot.record.paused if isinstance(snapshot.record, Record) else {}
    found = [_finding(manager, str(manager) in ours) for manager in managers]
    wrong = [(state, text) for state, text in found if state is not State.OK]
    if not wrong:
        return Check(name=name, state=State.OK, message=f"{', '.join(map(str, managers))}: in sync and healthy")
    return Check(
        name=name,
        state=worst(state for state, _ in wrong),
        message="; ".join(text for _, text in wrong),
        remedy="argocd app diff shows what differs; "
        f"{snapshot.commands.dr('status')} says whether an operation is under way",
    )


def _finding(manager: Manager, by_us: bool) -> tuple[State, str]:
    if manager.out_of_sync:
        return State.WARNING, f"{manager} differs from Git: {', '.join(manager.out_of_sync)}"
    if manager.paused:
        who = "by an operation of this tool" if by_us else "by somebody, or it never synced automatically"
        return State.WARNING, f"{manager} is paused {who}"
    if not manager.at_rest:
        return State.WARNING, f"{manager} is not in sync and healthy"
    return State.OK, str(manager)
