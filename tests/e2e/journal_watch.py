"""A look over the shoulder of a running ``dr``: the journal that it keeps on this machine, a line of JSON an event.

The line of a step is there before the record in the cluster has it, so what a test does on seeing it meets the program
between two steps, or in the very writing of its record.
"""

import json
import signal
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from tests.e2e.cli_runner import COMMAND_SECONDS, CliRunner, Outcome, engine_processes
from tests.support.waiting import stopwatch, wait_for

_LOOK_SECONDS = 0.003


class Watched:
    """One command at work. ``events`` are the lines of its journal, as far as they were looked at."""

    def __init__(self, runner: CliRunner, *arguments: str, limit: float = COMMAND_SECONDS) -> None:
        """Start it. ``limit`` are the seconds within which what is waited for has to come."""
        self.runner = runner
        self._limit = limit
        self.events: list[dict[str, Any]] = []
        self._rest = b""
        self._at = runner.journal.stat().st_size if runner.journal.exists() else 0
        self.process = runner.start(*arguments)

    def begun(self, step: str) -> bool:
        """Wait until ``step`` has begun; False when the command ended before."""
        return self._await(lambda: step in self._steps("step-started"))

    def at_another(self, than: Collection[str]) -> str | None:
        """Wait until a step of its own plan has begun that is not one of ``than``, and return it; None when the command
        ended before. What runs inside it has a plan too, and steps that are not meant.
        """

        def another() -> list[str]:
            return [step for step in self._steps("step-started") if step in self.planned and step not in than]

        return another()[0] if self._await(another) else None

    def done_with_another(self, than: Collection[str]) -> str | None:
        """Wait until a step is done that is not one of ``than``, and return it; None when the command ended before."""

        def another() -> list[str]:
            return [step for step in self._steps("step-done") if step not in than]

        return another()[0] if self._await(another) else None

    @property
    def planned(self) -> list[str]:
        """The steps of its plan; none before it was begun."""
        plans = [event["plan"]["steps"] for event in self.events if event["event"] == "operation-started"]
        return [step["key"] for step in plans[0]] if plans else []

    def await_(self, condition: Callable[[], object]) -> bool:
        """Wait until ``condition``, which is asked after each look at the journal; False when the command ended
        before.
        """
        return self._await(condition)

    def finish(self, seconds: float = COMMAND_SECONDS) -> Outcome:
        """Wait for its end."""
        return self.runner.finish(self.process, seconds)

    def _steps(self, event: str) -> list[str]:
        return [line["step"] for line in self.events if line["event"] == event]

    def _await(self, condition: Callable[[], object]) -> bool:
        def come() -> bool:
            over = self.process.poll() is not None
            self._look()
            return bool(condition()) or over

        wait_for(come, self._limit, seen=lambda: self.events[-3:], longest_pause=_LOOK_SECONDS)
        return bool(condition())

    def _look(self) -> None:
        if not self.runner.journal.exists():
            return
        with self.runner.journal.open("rb") as file:
            file.seek(self._at)
            new = file.read()
        self._at += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        found = [json.loads(line) for line in lines]
        self.events += [event for event in found if event["pid"] == self.process.pid]


@dataclass(frozen=True, kw_only=True)
class Chain:
    """An operation that got a signal after each of its steps, and was resumed each time, until it ended.

    ``planned`` are the steps of all its plans, ``signalled`` those after which a signal was sent, ``stopped`` those of
    them after which it was indeed stopped: after the last step it may be quicker. ``uids`` are those that the recovered
    Cluster was seen with.
    """

    planned: list[str]
    signalled: list[str]
    stopped: list[str]
    uids: set[str]
    last: Outcome
    took: str

    def __str__(self) -> str:
        """For the report."""
        return (
            f"{len(self.planned)} steps, {len(self.signalled)} signals, {len(self.stopped)} stops, "
            f"{self.took} ({', '.join(self.stopped)})"
        )


def stop_after_every_step(
    runner: CliRunner, number: signal.Signals, *command: str, cluster: str, agreed: Sequence[str] = ("--yes",)
) -> Chain:
    """Run ``command``, which works on ``cluster``; send ``number`` after its first step; resume, send it after the
    next; and so on until it ends. ``agreed`` are the words that say yes. What has to hold after each stop is asserted
    here.
    """
    took = stopwatch()
    planned: list[str] = []
    signalled: list[str] = []
    stopped: list[str] = []
    uids: set[str] = set()
    arguments = command
    while True:
        run = Watched(runner, *arguments, *agreed)
        step = run.done_with_another(signalled)
        if step is not None:
            run.process.send_signal(number)
            signalled.append(step)
        last = run.finish()
        planned += [key for key in run.planned if key not in planned]
        if found := runner.cluster(cluster):
            uids.add(found["metadata"]["uid"])
        if step is not None and last.code != 0:
            stopped.append(step)
        if step is None or last.code == 0 or not _to_be_resumed(runner, number, step, last):
            break
        arguments = ("resume", "--env", runner.env)
    return Chain(
        planned=planned,
        signalled=signalled,
        stopped=stopped,
        uids=uids,
        last=last,
        took=took(),
    )


def _to_be_resumed(runner: CliRunner, number: signal.Signals, step: str, last: Outcome) -> bool:
    """Whether there is something to resume after the stop, which is asserted to have been in good order."""
    if number == signal.SIGKILL:
        assert last.code == -number, (step, last)
    else:
        assert (last.code, last.problem_codes) == (130, ["interrupted"]), (step, last)
        assert step in last.document["stopped"]["done"], (step, last)
        assert last.document["stopped"]["goOn"].startswith("python -m dr "), (step, last)
        assert engine_processes() == [], step
    status = runner.dr("status", "--env", runner.env).document
    assert status["atWork"] == "", (step, status)
    newest = status["operations"][-1]["outcome"]
    if newest == "done":
        return False  # It was killed in between its last word to the cluster and its end.
    assert newest == ("running" if number == signal.SIGKILL else "interrupted"), (step, status["operations"][-1])
    assert status["next"][0]["command"] == f"python -m dr resume --env {runner.env}", (step, status["next"])
    return True
