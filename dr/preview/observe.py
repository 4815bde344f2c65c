"""Looking ahead: what ``pulumi up`` would do now, and whether the guard lets it pass. Changes nothing."""

from dataclasses import replace

from dr.core.errors import AccessError
from dr.desired.pulumi_up import decide
from dr.engine.changes import Changes
from dr.engine.infrastructure_stack import InfrastructureStack
from dr.engine.recovery_stack import RecoveryStack
from dr.guard.check import observe
from dr.guard.rules import not_overridden, override_of, violations
from dr.preview.report import PreviewReport, recovery_seconds
from dr.run.session import Session


def look(session: Session, stack: RecoveryStack) -> PreviewReport:
    """The preview of the environment's recovery stack, as declared by its record and its configuration.

    Raises RefusedError when what the configuration asks for does not hold, AccessError, EngineError.
    """
    decided = decide(session)
    changes = stack.preview(decided.declaration)
    return _report(session, changes, asked=str(decided.desired) if decided.desired.declared else "")


def look_below(session: Session, stack: InfrastructureStack) -> PreviewReport:
    """The preview of a stack that the environment lives on. Raises EngineError."""
    part = [given.override for given in stack.part.overrides]
    return _report(replace(session, typed=(*session.typed, *part)), stack.preview())


def _report(session: Session, changes: Changes, *, asked: str = "") -> PreviewReport:
    found = violations(changes, observe(session, changes))
    overrides, now = session.overrides, session.clock()
    used = ((violation, override_of(violation, overrides, now=now)) for violation in found)
    return PreviewReport(
        environment=changes.stack,
        changes=changes,
        violations=not_overridden(found, overrides, now=now),
        overridden=tuple(
            f"{violation.cause}; overridden until {one.until:%Y-%m-%d %H:%M} UTC: {one.reason}"
            for violation, one in used
            if one
        ),
        asked=asked,
        seconds=_last_recovery(session),
        limit=session.environment.timeouts.recovery.total_seconds(),
    )


def _last_recovery(session: Session) -> float | None:
    try:
        return recovery_seconds(session.records.read())
    except AccessError:
        return None
