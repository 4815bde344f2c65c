"""What ``pulumi up`` by hand does besides declaring, and what it declares.

A person writes into ``Pulumi.<env>.yaml`` what they want, sees the difference and applies it. It is decided by the very
code that decides for ``dr pitr`` and ``dr switchover``, with the same preconditions, and it is written into the same
record, so that the next operation continues from there. A preview only decides. What needs more than a declaration (the
sealing of the WAL, the verification, the workloads) stays with the operations.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from dr.cnpg.clusters import list_clusters
from dr.cnpg.fencing import fence, unfence
from dr.cnpg.recovered import app_secret_name
from dr.core.errors import Problem, RefusedError
from dr.core.history import OperationEntry, Outcome
from dr.desired.state import DesiredStateDiff, asked_for, read_desired
from dr.recovery import run as recovery
from dr.recovery.plan import RecoveryDecision
from dr.recovery.run import RecoveryOptions
from dr.recovery.steps import copy_secrets
from dr.run.lease import held
from dr.run.record import Record
from dr.run.session import Session
from dr.stacks.declaration import Declaration
from dr.switchover import run as switchover
from dr.switchover.plan import MoveDecision, MoveRequest, check_left_behind
from dr.switchover.steps import count_left_behind

OPERATION = "pulumi up"
_FENCE_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class PulumiUp:
    """What is to be declared, and what must be done before it is. ``desired`` is what the file asks for."""

    declaration: Declaration
    desired: DesiredStateDiff
    made: RecoveryDecision | None = None
    moved: MoveDecision | None = None

    @property
    def announcements(self) -> tuple[str, ...]:
        """What to know before agreeing: what the move of the traffic leaves behind, and its warnings."""
        if self.moved is None:
            return ()
        left = self.moved.facts.get("Left behind")
        return (*([f"Left behind: {left}"] if left else []), *self.moved.warnings)


def decide(session: Session) -> PulumiUp:
    """What the recovery stack holds, with what is new in the file. Changes nothing. Raises RefusedError,
    AccessError.
    """
    environment, record = session.environment, session.records.read()
    present = {cluster.name for cluster in list_clusters(session.api, environment.namespace)}
    desired = read_desired(environment, record, present)
    declaration = record.declaration(present) if record else Declaration()
    if desired.recover and (desired.move or desired.back):
        raise RefusedError([_too_early(session, desired)])
    if desired.recover:
        made = recovery.decide(session, RecoveryOptions(target=desired.target))
        others = tuple(cluster for cluster in declaration.clusters if cluster.name != made.cluster.name)
        return PulumiUp(declaration=replace(declaration, clusters=(*others, made.cluster)), desired=desired, made=made)
    if desired.move or desired.back:
        moved = switchover.decide(session, MoveRequest(back=desired.back, to="" if desired.back else desired.cluster))
        if problem := _undone(session, moved):
            raise RefusedError([problem])
        if record is not None:
            declaration = record.awakened(moved.new_cluster.name).declaration(present)
        return PulumiUp(declaration=replace(declaration, external_name=moved.host), desired=desired, moved=moved)
    return PulumiUp(declaration=declaration, desired=desired)


def apply(session: Session, decided: PulumiUp) -> None:
    """Do what has to be done before the declaration is. Safe to repeat. Raises RefusedError, AccessError, and
    VerificationError where more would be left behind than was announced.
    """
    environment = session.environment
    record = session.records.read()
    if (
        decided.made is None
        and decided.moved is None
        and (asked_for(environment.recovery) == dict(record.applied if record else {}))
    ):
        return
    with held(session.lease, session.holder, take_over=session.take_over, clock=session.clock, stop=session.stop):
        done = [*_make(session, decided.made), *_move(session, decided.moved)]
        at, applied = session.clock(), asked_for(environment.recovery)
        entry = OperationEntry(
            id=f"{at:%Y%m%dT%H%M%S.%f}Z-{OPERATION.replace(' ', '-')}",
            operation=OPERATION,
            user=session.holder.operator,
            go_on=environment.commands.dr("status"),
            facts={"Asked for": str(decided.desired), **{f"Step {n}": what for n, what in enumerate(done, start=1)}},
            started=at,
        ).over(Outcome.DONE, at)
        _change(session, lambda record: record.with_applied(applied).with_operation(entry))


def _make(session: Session, decision: RecoveryDecision | None) -> list[str]:
    """Remember the recovery, and keep the password for it."""
    if decision is None:
        return []
    cluster = decision.cluster
    _change(session, lambda record: record.with_recovery(cluster))
    copy_secrets(session.api, decision)
    return [f"Cluster {cluster.name} declared, its password in Secret {app_secret_name(cluster.name)}"]


def _move(session: Session, decision: MoveDecision | None) -> list[str]:
    """Keep the Cluster that is left from writing, and let the other write, before the Service points to it."""
    if decision is None:
        return []
    old, new_cluster, back = decision.fence, decision.new_cluster, decision.request.back
    limit, stop, done = session.environment.timeouts.recovery.total_seconds(), session.stop, []
    if not back:
        _change(session, lambda record: record.leaving(decision.comes_from, towards=decision.host))
    if old is not None:
        name = old.name
        _change(session, lambda record: record.with_fenced(name, fenced=True))
        fence(session.api, old.namespace, name, hibernate=False, limit=_FENCE_SECONDS, stop=stop)
        now = count_left_behind(session, decision)
        # The number was shown by a preview, of which nothing is known here: it holds where nobody could add to it.
        announced = decision.commits_left_behind if decision.still else None
        check_left_behind(decision, now, announced=announced, go_on=f"{OPERATION}, once more")
        done.append(f"{name} is fenced; {now or 'what'} stays there{'' if now else ' could not be counted'}")
    unfence(session.api, new_cluster.namespace, new_cluster.name, limit=limit, stop=stop)

    def pointing(record: Record) -> Record:
        pointed = (
            record.with_fenced(new_cluster.name, fenced=False).awakened(new_cluster.name).pointing_to(decision.host)
        )
        return pointed.came_back(decision.origin) if back else pointed

    _change(session, pointing)
    return [*done, f"{new_cluster.name} is healthy, and the Service is declared to point to it"]


def _change(session: Session, change: Callable[[Record], Record]) -> Record:
    return session.records.change(change, now=session.clock())


def _too_early(session: Session, desired: DesiredStateDiff) -> Problem:
    time = desired.declared.target_time if desired.declared else ""
    return Problem(
        code="cutover-too-early",
        cause=f"recovery.cutover is set, and nothing is recovered to {time} yet that could be verified",
        remedy="leave recovery.cutover out and apply that first; then verify it: "
        + session.environment.commands.dr("pitr", "--target-time", time, "--continue"),
    )


def _undone(session: Session, moved: MoveDecision) -> Problem | None:
    """What would undo the move at once, or keep clients at the old Cluster: operations see to that."""
    command = moved.request.command(session.environment)
    if active := [str(manager) for manager in moved.argocd if not manager.paused]:
        cause = f"Argo CD would put back what is moved ({', '.join(active)})"
    elif poolers := [str(one) for one in moved.held if one.cluster]:
        cause = f"clients reach the old Cluster by {', '.join(poolers)} too"
    else:
        return None
    return Problem(
        code="needs-operation",
        cause=f"{cause}, which a declaration cannot change",
        remedy=f"{command} sees to that, and declares the same",
    )
