"""Looking ahead: what ``pulumi up`` would do now, and whether the guard lets it pass. Changes nothing."""

from dr.engine.recovery_stack import RecoveryStack
from dr.model.guard import dangers, override_of, standing
from dr.model.preview_report import PreviewReport, recovery_seconds
from dr.operations.by_hand import decide
from dr.operations.guarding import see
from dr.operations.session import Session


def look(session: Session, stack: RecoveryStack) -> PreviewReport:
    """The preview of the environment's recovery stack, as declared by its record and its configuration.

    Raises RefusedError when what the configuration asks for does not hold, AccessError, EngineError.
    """
    decided = decide(session)
    changes = stack.preview(decided.declaration)
    found = dangers(changes, see(session, changes))
    overrides, now = session.overrides, session.clock()
    used = ((danger, override_of(danger, overrides, now=now)) for danger in found)
    return PreviewReport(
        environment=session.environment.name,
        changes=changes,
        dangers=standing(found, overrides, now=now),
        overridden=tuple(
            f"{danger.cause}; overridden until {one.until:%Y-%m-%d %H:%M} UTC: {one.reason}"
            for danger, one in used
            if one
        ),
        asked=str(decided.wish) if decided.wish.wish else "",
        seconds=recovery_seconds(session.records.read()),
        limit=session.environment.timeouts.recovery.total_seconds(),
    )
