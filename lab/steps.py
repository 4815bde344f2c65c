"""Runs the steps of an `up`: side by side where they can be, each shown with how long it usually takes.

A step is data (a name, what it does, what it needs) and one function. The runner owns order, display and timing; it
knows nothing about labs.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from lab.errors import LabError, last_lines

ANNOUNCED_AFTER = 1.0
"""Seconds; where there is no live picture, a step is announced once it has lasted so long."""


@dataclass
class Task:
    """What a running step is given."""

    log: Path
    """Where its programs write."""
    cancelled: threading.Event
    """Set when another step failed or the user gave up."""
    note: str = ""
    """One line about what it is doing now; the display shows it."""


@dataclass(frozen=True)
class Step:
    """One thing to do.

    `act` returns None when it did its work, or a word on why there was nothing to do ("already built").
    """

    name: str
    does: str
    usual: float
    """Seconds it usually takes on two cores, until this machine's own times are known."""
    act: Callable[[Task], str | None]
    needs: tuple[str, ...] = ()


@dataclass
class _Running:
    step: Step
    task: Task
    usual: float
    began: float = field(default_factory=time.monotonic)
    announced: bool = False
    spinner: Spinner = field(default_factory=lambda: Spinner("dots"))

    def note(self) -> str:
        """What it is doing now: in its own words, or in those of the program it runs."""
        if self.task.note or not self.task.log.exists():
            return self.task.note
        return last_lines(self.task.log, 1)


class Runner:
    """Runs steps in the order of their needs.

    Args:
        console: where progress goes. On a terminal it is a live picture, elsewhere plain lines.
        logs: folder for one log a step.
        durations: file that remembers how long each step took.
    """

    def __init__(self, console: Console, logs: Path, durations: Path) -> None:
        self._console = console
        self._logs = logs
        self._durations = durations
        self._running: dict[str, _Running] = {}
        self._cancelled = threading.Event()

    def run(self, steps: Sequence[Step]) -> None:
        """Run all steps.

        Raises:
            LabError: of the first step that failed; the others were cancelled and have ended.
            KeyboardInterrupt: likewise.
        """
        by_name = {step.name: step for step in steps}
        order = TopologicalSorter({step.name: step.needs for step in steps})
        order.prepare()
        learned = self._read_durations()
        futures: dict[Future[str | None], Step] = {}
        live = Live(get_renderable=self._picture, console=self._console, refresh_per_second=4, transient=True)
        with ThreadPoolExecutor(max_workers=len(steps) or 1) as pool, live:
            try:
                while order.is_active():
                    for name in order.get_ready():
                        step = by_name[name]
                        futures[pool.submit(self._begin(step, learned.get(name, step.usual)))] = step
                    done = wait(futures, timeout=ANNOUNCED_AFTER, return_when=FIRST_COMPLETED).done
                    self._announce()
                    for future in done:
                        step = futures.pop(future)
                        self._end(step, future, learned)
                        order.done(step.name)
            finally:
                # On failure: the pool's exit waits for the steps still running, and this makes them end.
                if futures:
                    self._cancelled.set()
                self._write_durations(learned)

    def _begin(self, step: Step, usual: float) -> Callable[[], str | None]:
        task = Task(log=self._logs / f"step-{step.name}.log", cancelled=self._cancelled)
        self._running[step.name] = _Running(step, task, usual)
        return lambda: step.act(task)

    def _announce(self) -> None:
        """Where there is no live picture, a line for each step that is not over at once."""
        if self._console.is_terminal:
            return
        for running in self._running.values():
            if not running.announced and time.monotonic() - running.began >= ANNOUNCED_AFTER:
                running.announced = True
                line = f"  ...    {running.step.does} (usually {pretty(running.usual)})"
                self._console.print(line, markup=False, highlight=False)

    def _end(self, step: Step, future: Future[str | None], learned: dict[str, float]) -> None:
        running = self._running.pop(step.name)
        took = time.monotonic() - running.began
        try:
            nothing_to_do = future.result()
        except LabError as error:
            error.log = error.log or (running.task.log if running.task.log.exists() else None)
            self._line("[red]failed[/red]", step, f"after {pretty(took)}")
            raise
        except Exception as error:
            self._line("[red]failed[/red]", step, f"after {pretty(took)}")
            log = running.task.log if running.task.log.exists() else None
            why = f"{type(error).__name__}: {error}"
            raise LabError(
                step.does, why, "run `python -m lab up` again; `down` first if it fails alike", log
            ) from error
        if nothing_to_do is None:
            learned[step.name] = round(took, 1)
        self._line("[green]done[/green]  ", step, nothing_to_do or pretty(took))

    def _line(self, outcome: str, step: Step, detail: str) -> None:
        self._console.print(f"  {outcome} {step.does}: [dim]{detail}[/dim]", highlight=False)

    def _picture(self) -> RenderableType:
        rows: list[RenderableType] = []
        for running in list(self._running.values()):
            row = Table.grid(padding=(0, 1))
            elapsed = time.monotonic() - running.began
            row.add_row(
                running.spinner,
                running.step.does,
                f"[cyan]{pretty(elapsed)}[/cyan] [dim]usually {pretty(running.usual)}[/dim]",
                Text(running.note()[:60], style="dim"),
            )
            rows.append(row)
        return Group(*rows)

    def _read_durations(self) -> dict[str, float]:
        try:
            return {str(name): float(took) for name, took in json.loads(self._durations.read_text()).items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _write_durations(self, learned: dict[str, float]) -> None:
        self._durations.parent.mkdir(parents=True, exist_ok=True)
        self._durations.write_text(json.dumps(learned, indent=1, sort_keys=True))


def pretty(seconds: float) -> str:
    """A duration for people: `0.4 s`, `12 s`, `9 min 30 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
