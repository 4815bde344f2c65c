"""Progress while an operation runs: a picture that redraws itself on a terminal, lines elsewhere, nothing with
--json.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dr.cli.console import err
from dr.cnpg.progress import RecoveryProgress, Stage
from dr.core.plan import Plan, Step
from dr.run.runner import Reporter


@contextmanager
def reporter_for(plan: Plan, *, quiet: bool) -> Iterator[Reporter]:
    """The reporter that suits where stderr goes."""
    if quiet:
        yield _Silent()
    elif err.is_terminal:
        picture = _Picture(plan)
        with Live(picture, console=err, refresh_per_second=8):
            yield picture
    else:
        yield _Lines(plan)


def describe(progress: RecoveryProgress) -> str:
    """The state of a recovery in a line."""
    parts: list[str] = [progress.stage]
    if progress.stage is Stage.REPLAY and progress.wal:
        parts.append(f"segment {progress.wal}, {progress.segments} so far")
    if progress.attempt > 1:
        parts.append(f"attempt {progress.attempt}")
    if progress.waiting_for:
        parts.append(f"waiting: {progress.waiting_for}")
    if progress.failure:
        parts.append(progress.failure.cause)
    return "; ".join(parts)


class _Silent:
    """Says nothing."""

    def step_started(self, step: Step) -> None:
        pass

    def step_done(self, step: Step, fact: str, seconds: float) -> None:
        pass

    def recovery(self, progress: RecoveryProgress, *, elapsed: float, limit: float) -> None:
        pass

    def progress(self, said: str) -> None:
        pass


class _Lines:
    """A line for each change, for logs and pipes."""

    def __init__(self, plan: Plan) -> None:
        self._count = len(plan.steps)
        self._number = 0
        self._said = ""

    def step_started(self, step: Step) -> None:
        self._number += 1
        err.print(Text(f"[{self._number}/{self._count}] {step.title}: {step.detail()}"), soft_wrap=True)

    def step_done(self, step: Step, fact: str, seconds: float) -> None:  # noqa: ARG002 - the line above names the step
        err.print(Text(f"      {seconds:6.1f} s  {fact}"), soft_wrap=True)

    def recovery(self, progress: RecoveryProgress, *, elapsed: float, limit: float) -> None:
        said = describe(progress)
        if said != self._said:
            self._said = said
            err.print(Text(f"      {elapsed:6.1f} s of {limit:.0f}  {said}"), soft_wrap=True)

    def progress(self, said: str) -> None:
        if said != self._said:
            self._said = said
            err.print(Text(f"               {said}"), soft_wrap=True)


class _Picture:
    """All steps at once: done with their fact and time, the current one turning, the rest waiting."""

    def __init__(self, plan: Plan) -> None:
        self._steps = plan.steps
        self._done: dict[str, tuple[str, float]] = {}
        self._current: str | None = None
        self._since = 0.0
        self._spinner = Spinner("dots")
        self._recovery: tuple[RecoveryProgress, float, float] | None = None
        self._said = ""

    def step_started(self, step: Step) -> None:
        self._current, self._since = step.key, time.monotonic()

    def step_done(self, step: Step, fact: str, seconds: float) -> None:
        self._done[step.key] = (fact, seconds)
        self._current, self._recovery, self._said = None, None, ""

    def recovery(self, progress: RecoveryProgress, *, elapsed: float, limit: float) -> None:
        self._recovery = (progress, elapsed, limit)

    def progress(self, said: str) -> None:
        self._said = said

    def __rich__(self) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=2)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(overflow="fold")
        for step in self._steps:
            if step.key in self._done:
                fact, seconds = self._done[step.key]
                table.add_row(Text("✔", style="green"), step.title, f"{seconds:.1f} s", Text(fact))
            elif step.key == self._current:
                elapsed = time.monotonic() - self._since
                title, detail = Text(step.title, style="bold"), Text(step.detail())
                table.add_row(self._spinner, title, f"{elapsed:.0f} s", detail)
                if self._recovery:
                    progress, spent, limit = self._recovery
                    state = Text.assemble((describe(progress), "cyan"), (f"  ({spent:.0f} of {limit:.0f} s)", "dim"))
                    table.add_row("", "", "", state)
                if self._said:
                    table.add_row("", "", "", Text(self._said, style="cyan"))
            else:
                table.add_row(Text("·", style="dim"), Text(step.title, style="dim"), "", "")
        return table
