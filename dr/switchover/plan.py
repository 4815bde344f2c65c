"""Moving the traffic from one Cluster to another, decided: forward by a switchover, back by a rollback. Pure.

Both are the same move with the ends swapped: the Cluster that is left stops writing before the Service points to the
other one, so that no transaction can be acknowledged by a database that nobody will look at again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from dr.cnpg.cluster import TARGET_ANNOTATION, ClusterSnapshot, cluster_behind, read_write_host
from dr.cnpg.quiet import quiet_parameters
from dr.config.environment import Environment
from dr.core.errors import Problem, RefusedError, VerificationError
from dr.core.target import LaterCommits
from dr.gitops.argocd import Manager, argocd_warnings
from dr.gitops.flux import flux_warnings
from dr.kube.objects import Workload
from dr.postgres.clients import Client, named
from dr.run.record import Record
from dr.switchover.manual_changes import warning_of_changes
from dr.traffic.writer_model import BackgroundWriter, problems_around, to_release, with_counts


@dataclass(frozen=True, kw_only=True)
class MoveRequest:
    """What was asked for. ``back`` is a rollback; ``to`` is the Cluster to move to, empty for the newest that was
    recovered, and for the way back, which is remembered; ``hibernate`` also hibernates the old Cluster.
    """

    back: bool = False
    to: str = ""
    hibernate: bool = False

    @property
    def operation(self) -> str:
        """The name of the operation, on the command line and in the journal."""
        return "rollback" if self.back else "switchover"

    def command(self, environment: Environment) -> str:
        """The command line that asks for this."""
        named = ["--recovered-name", self.to] if not self.back and self.to != environment.recovered_cluster else []
        return environment.commands.dr(self.operation, *named, *(["--hibernate-old"] if self.hibernate else []))


@dataclass(frozen=True, kw_only=True)
class TrafficSituation:
    """What was there at ``seen_at`` (aware UTC).

    ``old_cluster`` is the Cluster that the Service points to, ``new_cluster`` the one to move to, each None when there
    is none; ``commits_left_behind`` are the transactions that were committed on ``old_cluster`` and are not in
    ``new_cluster``, None when unknown; ``silent`` says that ``old_cluster`` was kept from writing already, and seen so;
    ``service_labels`` are those of the environment's Service.
    """

    seen_at: datetime
    external_name: str | None
    old_cluster: ClusterSnapshot | None
    new_cluster: ClusterSnapshot | None
    workloads: Mapping[str, Workload | None]
    record: Record
    commits_left_behind: LaterCommits | None
    argocd: tuple[Manager, ...] = ()
    service_labels: Mapping[str, str] = field(default_factory=dict)
    background_writers: tuple[BackgroundWriter, ...] = ()
    clients: tuple[Client, ...] | None = ()
    silent: bool = False


@dataclass(frozen=True, kw_only=True)
class MoveDecision:
    """All that was decided. ``fence`` is the Cluster to keep from writing, None when there is none to keep; ``origin``
    is the name that a rollback goes back to, as it was remembered, empty when none is; ``commits_left_behind`` are the
    transactions that stay behind, None where they could not be counted; ``still`` says that nobody was seen who could
    add to them: the Cluster is silent already, or its writers are stopped and nobody else is connected to it.
    """

    environment: Environment = field(repr=False)
    request: MoveRequest
    new_cluster: ClusterSnapshot
    fence: ClusterSnapshot | None
    before: str
    origin: str
    workloads: tuple[Workload, ...]
    argocd: tuple[Manager, ...]
    held: tuple[BackgroundWriter, ...]
    released: tuple[BackgroundWriter, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    commits_left_behind: LaterCommits | None = None
    still: bool = False

    @property
    def quiet(self) -> tuple[str, ...]:
        """The parameters by which the Cluster that is moved to is kept quiet."""
        return quiet_parameters(self.new_cluster.annotations)

    @property
    def comes_from(self) -> str:
        """The name that a rollback leads back to: where the Service points, unless other hands have moved it."""
        moved = self.fence and cluster_behind(self.before, self.fence.namespace) != self.fence.name
        return read_write_host(self.fence) if self.fence and moved else self.before

    @property
    def host(self) -> str:
        """Where the Service will point."""
        return read_write_host(self.new_cluster)

    @property
    def way_back(self) -> str:
        """The command that takes this move back, once the Cluster that is left takes no more writes; empty where none
        does: nothing is left by a rollback before a switchover.
        """
        if not self.request.back:
            return self.environment.commands.dr("rollback")
        if self.fence is None:
            return ""
        return self.environment.commands.dr("switchover", "--recovered-name", self.fence.name)


def decide_move(environment: Environment, request: MoveRequest, situation: TrafficSituation) -> MoveDecision:
    """The decision for ``request``. Raises RefusedError with every precondition that does not hold."""
    problems = list(_problems(environment, request, situation))
    new_cluster, before = situation.new_cluster, situation.external_name
    if problems or new_cluster is None or before is None:
        raise RefusedError(problems)
    workloads = tuple(with_counts(environment, situation.workloads.values(), situation.record))
    old_cluster = situation.old_cluster
    fence = old_cluster if old_cluster is not None and old_cluster.name != new_cluster.name else None
    held = tuple(one for one in situation.background_writers if one.cluster in {"", fence.name if fence else ""})
    remembered = {**situation.record.held, **{str(one): one.setting for one in held if not one.held}}
    decision = MoveDecision(
        environment=environment,
        request=request,
        new_cluster=new_cluster,
        fence=fence,
        before=before,
        origin=situation.record.came_from[-1] if request.back and situation.record.came_from else "",
        workloads=workloads,
        argocd=situation.argocd,
        held=held,
        released=to_release(situation.background_writers, remembered, serving=new_cluster.name),
        commits_left_behind=situation.commits_left_behind,
        still=situation.silent
        or (
            situation.clients == ()
            and not any(workload.replicas for workload in workloads)
            and all(one.held for one in held)
        ),
    )
    return replace(
        decision,
        facts=_facts(environment, decision, situation),
        warnings=tuple(_warnings(decision, situation)),
    )


def check_left_behind(
    decision: MoveDecision, now: LaterCommits | None, *, announced: LaterCommits | None, go_on: str
) -> None:
    """Hold ``now``, the transactions that stay behind once nobody can add to them, against those that were
    ``announced`` before the move was agreed to; None where no number was, or where nobody can count them. ``go_on`` is
    the command whose plan has the number that is final.

    Raises VerificationError ``more-left-behind``, or ``left-behind-unknown`` where there was a number and now none.
    """
    if decision.fence is None:
        return
    old, new_cluster, known = decision.fence.name, decision.new_cluster.name, decision.commits_left_behind
    state = f"{old} takes no more writes, so none is added; the traffic was not moved, and users wait"
    remedy = (
        f"to continue without them: {go_on} (it shows their final number first); "
        f"to go back to {old}: {decision.way_back}"
    )
    if now is None or (known is not None and known.complete and not now.complete):
        if known is None:
            return
        least = "" if now is None else f" (its WAL has {now})"
        raise VerificationError(
            "left-behind-unknown",
            f"whether more than what was announced, {known}, would stay in {old} could not be seen{least}. {state}",
            remedy,
        )
    if now.count > (announced.count if announced else 0):
        before = f"{announced} had been announced" if announced else "no final number had been announced"
        raise VerificationError(
            "more-left-behind", f"{now} would stay in {old}, and not come to {new_cluster}: {before}. {state}", remedy
        )


def _problems(environment: Environment, request: MoveRequest, situation: TrafficSituation) -> Iterator[Problem]:
    if situation.external_name == "":
        yield Problem(
            code="service-not-external",
            cause=f"the Service {environment.namespace}/{environment.service} is not of type ExternalName",
            remedy="make it one, or correct service in Pulumi.<env>.yaml: that is what traffic is moved by",
        )
    yield from problems_around(environment, situation.external_name, situation.workloads)
    new_cluster = situation.new_cluster
    if request.back and situation.record.finalized:
        yield Problem(
            code="already-finalized",
            cause=f"{situation.record.canonical} was made the canonical Cluster, and what it came from was deleted",
            remedy=f"there is nothing to go back to; recover instead: {_recover(environment)}",
        )
    elif new_cluster is None:
        yield _nothing_to_reach(environment, request)
    elif not request.back:
        yield from _problems_of_recovered(environment, new_cluster, situation.record)


def _nothing_to_reach(environment: Environment, request: MoveRequest) -> Problem:
    if request.back:
        return Problem(
            code="nothing-to-go-back-to",
            cause=f"the Cluster {request.to or environment.source_cluster}, which the traffic came from, is not there",
            remedy=f"recover again, as the archive has its data: {_recover(environment)}",
        )
    return Problem(
        code="recovered-missing",
        cause=f"there is no Cluster {environment.namespace}/{request.to} to move the traffic to",
        remedy=f"recover first: {_recover(environment)}",
    )


def _recover(environment: Environment) -> str:
    say = environment.commands
    return f"{say.dr('latest')}, or to an earlier moment: {say.dr('pitr', '--target-time', 'TIME')}"


def _problems_of_recovered(environment: Environment, new_cluster: ClusterSnapshot, record: Record) -> Iterator[Problem]:
    again = f"{environment.commands.dr('status')} shows the command to continue"
    target = new_cluster.annotations.get(TARGET_ANNOTATION)
    if target is None:
        yield Problem(
            code="not-recovered-by-us",
            cause=f"the Cluster {new_cluster.name} was not recovered by this tool, so nothing is known of its data",
            remedy="give a recovered one with --recovered-name",
        )
    elif not new_cluster.healthy and new_cluster.name not in record.fenced:
        yield Problem(
            code="recovered-not-healthy",
            cause=f"the Cluster {new_cluster.name} is not healthy: {new_cluster.phase or 'it has just been made'}",
            remedy=f"let its recovery end first; {again}",
        )
    elif new_cluster.name not in record.verified:
        yield Problem(
            code="recovered-not-verified",
            cause=f"the Cluster {new_cluster.name} has not passed its verification",
            remedy=f"verify it first; {again}",
        )


def _facts(environment: Environment, decision: MoveDecision, situation: TrafficSituation) -> dict[str, str]:
    new_cluster, fence = decision.new_cluster, decision.fence
    facts = {
        "Environment": f"{environment.name} (context {environment.kubernetes.context})",
        "Service": f"{environment.namespace}/{environment.service}",
        "From": situation.external_name or "",
        "To": decision.host,
    }
    if target := new_cluster.annotations.get(TARGET_ANNOTATION):
        facts["Recovered to"] = target
    if fence:
        means = "hibernated" if decision.request.hibernate else "fenced"
        facts["Left"] = f"{fence.namespace}/{fence.name}, {means}: it keeps its data and takes no more writes"
    if situation.commits_left_behind is not None and fence:
        running = ", ".join(workload.name for workload in decision.workloads if workload.replicas)
        more = f"; more than that, once {running} are stopped, is asked for before traffic moves" if running else ""
        facts["Left behind"] = f"{situation.commits_left_behind} in {fence.name}, not in {new_cluster.name}{more}"
    return facts


def _warnings(decision: MoveDecision, situation: TrafficSituation) -> Iterator[str]:
    if decision.fence is None and situation.old_cluster is None:
        yield (
            f"The Service points to {situation.external_name}, which is not a Cluster here: no step stops writes "
            "there. Make sure that nothing writes there."
        )
    for pooler in (one for one in decision.held if one.cluster):
        yield (
            f"{pooler} leads to {pooler.cluster} and stays paused: a Pooler's Cluster cannot be changed. Its clients "
            "wait until finalize recreates it for the other one."
        )
    fence, back = decision.fence, decision.request.back
    if fence and not back and cluster_behind(decision.before, fence.namespace) != fence.name:
        known = decision.before == decision.host
        where = f"{decision.new_cluster.name} already" if known else f"{decision.before}, not to a Cluster here"
        yield (
            f"The Service points to {where}, and {fence.name}, which {decision.new_cluster.name} was recovered from, "
            "was not seen to be kept from writing: it is now."
        )
    if decision.fence and situation.commits_left_behind is None:
        yield f"What was committed in {decision.fence.name} meanwhile could not be counted; it stays there."
    if decision.fence and situation.clients:
        yield (
            f"Also connected to {decision.fence.name}: {named(situation.clients)}. The fence disconnects them. If they "
            "have committed more by then, the command stops before traffic moves; its next plan has the number."
        )
    if (
        situation.commits_left_behind
        and situation.commits_left_behind.count
        and decision.request.back
        and decision.fence
    ):
        yield (
            f"What was written to {decision.fence.name} since the switchover does not come along: it stays there, "
            "where it can be read after the fence is lifted."
        )
    if not decision.request.back and not situation.record.is_compared(decision.new_cluster.name):
        yield (
            f"How far the recovery of {decision.new_cluster.name} had to reach is not known, so it was not compared: "
            "it may lack what was committed last. Look at its newest rows first."
        )
    for cluster in (decision.new_cluster, decision.fence):
        if cluster is not None:
            yield from warning_of_changes(cluster, situation.record.recovery(cluster.name))
    yield from argocd_warnings(situation.workloads.values(), situation.argocd)
    yield from flux_warnings(
        situation.workloads.values(),
        [situation.old_cluster, situation.new_cluster],
        service=decision.environment.service,
        service_labels=situation.service_labels,
        commands=decision.environment.commands,
    )
