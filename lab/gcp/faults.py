"""What is to go wrong in the cloud, said beforehand: which call, how often, and how it is answered."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from dataclasses import asdict, dataclass

from lab.gcp import errors
from lab.gcp.cloud import Contents
from lab.gcp.errors import GoogleError
from lab.gcp.kinds import Kind

FOR_EVER = -1

ANSWERS: dict[str, Callable[[Kind, str], GoogleError]] = {
    "quota": lambda _kind, _what: GoogleError(
        403,
        "Insufficient regional quota to satisfy request: resource \"CPUS\": request requires '12.0' and is short "
        "'4.0'. project has a quota of '8.0' with '8.0' available.",
        "quotaExceeded",
    ),
    "conflict": lambda _kind, what: GoogleError(
        409, f"Operation is in progress on {what}; please wait and try again once it is done.", "conflict"
    ),
    "exists": lambda _kind, what: errors.already_exists(what),
    "api-disabled": lambda kind, _what: errors.api_disabled(kind.api),
    "unavailable": lambda _kind, _what: errors.unavailable(),
    "permission": lambda kind, what: errors.denied(f"{kind.permission}.get", what),
    "propagation": lambda _kind, what: errors.no_such_account(what),
    "rate": lambda _kind, _what: GoogleError(429, "Rate Limit Exceeded", "rateLimitExceeded"),
}
"""Name of a fault -> what Google says."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is to go wrong."""

    answer: str
    """A name of `ANSWERS`."""
    on: str = "*"
    """The type's token, or a pattern of it: `*Bucket`."""
    operation: str = "*"
    """create, read, update, delete, or a pattern."""
    times: int = FOR_EVER
    """How many calls are answered so; the next goes through."""

    def meets(self, kind: Kind, operation: str) -> bool:
        """Whether it is this call that goes wrong."""
        return fnmatch.fnmatch(kind.token, self.on) and fnmatch.fnmatch(operation, self.operation)


def inject(contents: Contents, fault: Fault) -> None:
    """Have this go wrong from now on.

    Raises:
        KeyError: there is no such answer.
    """
    if fault.answer not in ANSWERS:
        raise KeyError(fault.answer)
    contents.faults.append(asdict(fault))


def clear(contents: Contents) -> None:
    """Have nothing go wrong any more."""
    contents.faults.clear()


def meet(contents: Contents, kind: Kind, operation: str, what: str) -> GoogleError | None:
    """The error that this call is answered with, if it is to go wrong; counts it."""
    for index, said in enumerate(contents.faults):
        fault = Fault(**said)
        if not fault.meets(kind, operation):
            continue
        if fault.times > 0:
            said["times"] -= 1
            if said["times"] == 0:
                del contents.faults[index]
        return ANSWERS[fault.answer](kind, what)
    return None
