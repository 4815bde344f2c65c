"""Every way in which the tool says no.

One tree, so that the command line can render any failure the same way (what happened, what to do about it) and scripts
can tell the families apart by exit code. Nothing below ``dr.cli`` ends the process; it raises one of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dr.core.plan import StepTaken


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """Where an operation stood when it failed: the step it was in, those done before, and the command to continue with.
    ``report`` is where its report was kept, empty where it was not. ``unwritten`` says why the journal is not complete,
    empty where it is.
    """

    at: StepTaken
    done: tuple[StepTaken, ...]
    go_on: str
    journal: str
    report: str = ""
    unwritten: str = ""

    @property
    def undo(self) -> tuple[str, ...]:
        """The commands that take back what was done, each once."""
        return tuple(dict.fromkeys(command for step in (*self.done, self.at) for command in step.undo))


class DrError(Exception):
    """A failure with its cause and its remedy.

    ``code`` names the exact failure for scripts and tests, in lower case with hyphens; it never changes meaning.
    ``exit_code`` is the family's.
    """

    exit_code: ClassVar[int] = 1
    family: ClassVar[str] = "error"

    def __init__(self, code: str, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.code = code
        self.cause = cause
        self.remedy = remedy
        self.stopped: Stopped | None = None
        """Set by the runner when steps had begun; None means that nothing was changed, unless it is ``unsure``."""
        self.unsure = False
        """Set where it is not known whether a change was begun."""


class FaultError(DrError):
    """A fault of this tool itself. The code that raises it chains the exception that shows where."""

    family = "fault"


class RequestError(DrError):
    """The request itself makes no sense: a malformed time, an impossible name."""

    exit_code = 2
    family = "request"


class ConfigError(DrError):
    """``Pulumi.<env>.yaml`` is missing, malformed or contradicts itself."""

    exit_code = 3
    family = "config"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One precondition that does not hold. ``code``, ``cause`` and ``remedy`` are as in :class:`DrError`."""

    code: str
    cause: str
    remedy: str


class RefusedError(DrError):
    """Preconditions do not hold; nothing was changed. Carries all of them, so that they are fixed in one go."""

    exit_code = 4
    family = "refused"

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(first.code, first.cause, first.remedy)
        self.problems = tuple(problems)


class AccessError(DrError):
    """What has to be looked at cannot be: it does not answer, does not let us in, or holds what cannot be read."""

    exit_code = 5
    family = "access"


class EngineError(DrError):
    """Pulumi is missing, too old, locked, without its passphrase, or failed."""

    exit_code = 6
    family = "engine"


class RecoveryError(DrError):
    """The recovered cluster failed, or was not healthy within the limit."""

    exit_code = 7
    family = "recovery"


class VerificationError(DrError):
    """The recovered cluster runs, but is not what was asked for."""

    exit_code = 8
    family = "verification"


class StepFailedError(DrError):
    """Everything answered, and a step did not bring about what it is for: it was undone, refused, or not there in time.

    No kind of :class:`AccessError`: who catches that one continues without what could not be looked at.
    """

    exit_code = 10
    family = "step"


class DeclinedError(DrError):
    """The operator said no at the confirmation. Nothing was changed."""

    exit_code = 9
    family = "declined"


class InterruptedOperationError(DrError):
    """Ctrl-C or SIGTERM. 130 is what a shell reports for an interrupted program."""

    exit_code = 130
    family = "interrupted"


def problems_of(error: DrError) -> tuple[Problem, ...]:
    """What an error says, one or more."""
    if isinstance(error, RefusedError):
        return error.problems
    return (Problem(code=error.code, cause=error.cause, remedy=error.remedy),)


def summary(error: DrError) -> str:
    """What happened and what to do, in plain lines, for where nothing renders it."""
    return "\n".join(f"{one.code}: {one.cause}\n  {one.remedy}" for one in problems_of(error))
