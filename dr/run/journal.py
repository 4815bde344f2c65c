"""The journal: what was done, when, by whom, written down so that it survives the process.

It is kept twice. On this machine as lines of JSON, appended at each event: there when the cluster is not. And in the
environment's record, in its cluster: there to continue from another machine.
"""

import json
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from dr.core.errors import DrError, FaultError, InterruptedOperationError
from dr.core.history import OperationEntry, Outcome
from dr.core.plan import Plan, Step
from dr.engine.backend import folder_unusable
from dr.run.record import Record

_LAST_TRIES = 5
_BETWEEN_SECONDS = 2


def unchanged(record: Record) -> Record:
    """The record as it is."""
    return record


class Records(Protocol):
    """Where the record is kept: in the environment's cluster, or next to the state while there is none."""

    def change(self, change: Callable[[Record], Record], *, now: datetime) -> Record:
        """Apply ``change`` to the record and keep it. Raises AccessError."""


@dataclass(kw_only=True)
class Journal:
    """The journal of one operation. ``common`` stands in every line; times are aware UTC. ``records`` is None for one
    that is not part of the environment's history: a drill, which nobody resumes.

    Once begun, it raises nothing: a disk that is full, or an API server that does not answer, must neither end an
    operation nor hide where it stands. What could not be written is in ``unwritten``.
    """

    path: Path
    common: Mapping[str, Any]
    records: Records | None
    user: str
    _entry: OperationEntry | None = field(default=None, init=False)
    _lost: str = field(default="", init=False)
    _not_recorded: str = field(default="", init=False)

    @property
    def entry(self) -> OperationEntry | None:
        """The operation as it is written down, None before it began."""
        return self._entry

    def begin(self, plan: Plan, go_on: str, at: datetime) -> None:
        """An agreed plan begins; ``go_on`` continues it. Raises AccessError where it cannot be written down."""
        self._entry = OperationEntry(
            id=f"{at:%Y%m%dT%H%M%S.%f}Z-{plan.operation}",
            operation=plan.operation,
            user=self.user,
            go_on=go_on,
            facts=plan.facts,
            started=at,
        )
        try:
            self._append("operation-started", at, plan=plan.as_json())
        except OSError as error:
            raise folder_unusable(self.path, error) from error
        self._keep(self._entry, at)

    @property
    def unwritten(self) -> str:
        """What of it could not be written, and why; empty where it is complete. What the record lacks for a while
        does not count: a later change writes the whole entry.
        """
        return "; ".join(filter(None, (self._lost, self._not_recorded)))

    def step_started(self, step: Step, at: datetime) -> None:
        """A step begins."""
        self._line("step-started", at, step=step.key)
        self._change(at, lambda entry: entry.step_started(step.key, at))

    def step_done(self, step: Step, fact: str, seconds: float, at: datetime) -> None:
        """A step is done."""
        self._line("step-done", at, step=step.key, fact=fact, seconds=round(seconds, 3))
        self._change(at, lambda entry: entry.step_done(fact, at))

    def failed(self, step: Step, error: DrError, failure: Exception, at: datetime) -> None:
        """The operation stops in ``step``; ``failure`` is what was raised, ``error`` what it was taken for."""
        self._line(
            "step-failed",
            at,
            step=step.key,
            code=error.code,
            cause=error.cause,
            traceback=traceback.format_exception(failure) if isinstance(error, FaultError) else None,
        )
        outcome = Outcome.INTERRUPTED if isinstance(error, InterruptedOperationError) else Outcome.FAILED
        self._change(at, lambda entry: entry.over(outcome, at, error.cause))

    def done(self, report: Mapping[str, Any], at: datetime, *, at_end: Callable[[Record], Record]) -> None:
        """The operation has ended well; ``at_end`` changes the record in the very write that says so."""
        self._line("operation-done", at, report=report)
        # Nothing follows that would write it again, and an operation that is not written down as done is offered to be
        # resumed.
        for _ in range(_LAST_TRIES):
            if self._change(at, lambda entry: entry.over(Outcome.DONE, at), also=at_end):
                return
            time.sleep(_BETWEEN_SECONDS)

    def note(self, event: str, at: datetime, **details: object) -> None:
        """Something else that is worth knowing later; on this machine only."""
        self._line(event, at, **details)

    def _line(self, event: str, at: datetime, **details: object) -> None:
        try:
            self._append(event, at, **details)
        except OSError as error:
            self._lost = self._lost or f"{self.path} could not be written from {at:%H:%M:%S} UTC on: {error.strerror}"

    def _append(self, event: str, at: datetime, **details: object) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.touch(0o600)  # what was given and what was found is its owner's alone
        line = {"at": at.isoformat(), "event": event, **self.common, **details}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=str) + "\n")

    def _change(
        self,
        at: datetime,
        change: Callable[[OperationEntry], OperationEntry],
        *,
        also: Callable[[Record], Record] = unchanged,
    ) -> bool:
        """Keep the changed entry; False when that failed.

        A cluster that does not answer is noted, and does not stop a recovery: the next change writes the whole
        entry.
        """
        if self._entry is None:
            return True
        self._entry = change(self._entry)
        try:
            self._keep(self._entry, at, also)
        except Exception as error:  # noqa: BLE001 - whatever it is, where things stand is told all the same
            cause = error.cause if isinstance(error, DrError) else f"{type(error).__name__}: {error}"
            self._line("record-not-written", at, cause=cause)
            self._not_recorded = f"the record does not have how the operation went on: {cause}"
            return False
        self._not_recorded = ""
        return True

    def _keep(self, entry: OperationEntry, at: datetime, also: Callable[[Record], Record] = unchanged) -> None:
        if self.records is None:
            return
        self.records.change(lambda record: also(record).with_operation(entry), now=at)
