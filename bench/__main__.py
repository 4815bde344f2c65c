"""Every figure that has a goal, measured in one run, as the table of ``docs/performance.md``.

Run it in the lab's environment, on a lab that is up and at rest; about an hour on two cores with three runs each:

    python -m lab exec -- python -m bench --runs 3
    python -m lab exec -- python -m bench --runs 1 --only large
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import click

from bench.measured import machine
from bench.own import health, hopeless
from bench.pulumi_cli import CASES, Pair, before_drop

_HELP_SECONDS, _ENGINE_SECONDS, _DROP_SECONDS = 0.2, 5.0, 45.0
_DROP, _HOPELESS = "before-drop", "hopeless"
_GOALS = {"archived": 1.10, "at-once": 0.10, "large": 0.60, "health": 2.0, _HOPELESS: 1.5}
_TOLD = {
    "archived": "WAL archived, small database",
    "at-once": "a table dropped a moment ago, WAL not archived",
    "large": "1.5 GiB, 137 WAL segments",
}


@dataclass(frozen=True)
class Figure:
    """One line of the table. ``goal`` is the most that ``reached`` may be."""

    what: str
    by_hand: str
    tool: str
    reached: float
    goal: float
    unit: str = ""

    def __str__(self) -> str:
        met = "yes" if self.reached <= self.goal else "**no**"
        return (
            f"| {self.what} | {self.by_hand} | {self.tool} | {self.reached:.2f}{self.unit} "
            f"| {self.goal:.2f}{self.unit} | {met} |"
        )


def _seconds(values: Iterator[float]) -> str:
    found = sorted(values)
    spread = f" ({found[0]:.1f} to {found[-1]:.1f})" if len(found) > 1 else ""
    return f"{statistics.median(found):.1f} s{spread}"


def _recoveries(case: str, pairs: list[Pair]) -> Figure:
    return Figure(
        what=_TOLD[case],
        by_hand=_seconds(pair.hand for pair in pairs),
        tool=_seconds(pair.tool for pair in pairs),
        reached=statistics.median(pair.ratio for pair in pairs),
        goal=_GOALS[case],
    )


def _own(pairs: list[Pair]) -> Iterator[Figure]:
    """What the tool itself takes, where nothing but the recovery is to be done."""
    ratio = statistics.median(pair.tool / pair.cluster for pair in pairs)
    yield Figure(
        what="all-in against CloudNativePG's own create-to-healthy",
        by_hand=_seconds(pair.cluster for pair in pairs),
        tool=_seconds(pair.tool for pair in pairs),
        reached=ratio,
        goal=_GOALS["archived"],
    )
    engine = statistics.median(pair.engine for pair in pairs)
    yield Figure(
        what="the engine: preview and up, less the Cluster's own time",
        by_hand="",
        tool=_seconds(pair.engine for pair in pairs),
        reached=engine,
        goal=_ENGINE_SECONDS,
        unit=" s",
    )


def _drop(runs: int) -> Figure:
    took = [before_drop() for _ in range(runs)]
    middle = statistics.median(took)
    told = "a table dropped a moment ago, and nobody says when (`--before-drop`)"
    return Figure(told, "", _seconds(iter(took)), middle, _DROP_SECONDS, " s")


def _against(what: str, case: str, pairs: list[tuple[float, float]]) -> Figure:
    """``pairs`` are seconds of what has to be, and of all."""
    return Figure(
        what=what,
        by_hand=_seconds(had for had, _ in pairs),
        tool=_seconds(whole for _, whole in pairs),
        reached=statistics.median(whole / had for had, whole in pairs),
        goal=_GOALS[case],
    )


def _health(runs: int) -> Figure:
    told = "`health`: processor time, against importing the clients that it asks with"
    return _against(told, "health", [health() for _ in range(max(runs, 5))])


def _hopeless(runs: int) -> Figure:
    told = (
        "a target that cannot be reached: until it is reported, against PostgreSQL's log; from the Cluster's creation"
    )
    return _against(told, _HOPELESS, [hopeless() for _ in range(runs)])


def _help(runs: int) -> Figure:
    took = []
    for _ in range(max(runs, 5)):
        begin = time.monotonic()
        subprocess.run([sys.executable, "-m", "dr", "--help"], check=True, stdout=subprocess.DEVNULL)
        took.append(time.monotonic() - begin)
    middle = statistics.median(took)
    return Figure("`--help`", "", f"{middle:.2f} s", middle, _HELP_SECONDS, " s")


_OWN = {_DROP: _drop, _HOPELESS: _hopeless}


@click.command()
@click.option("--runs", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--only", multiple=True, type=click.Choice([*_OWN, *CASES]), help="Only these; may be repeated.")
def main(runs: int, only: tuple[str, ...]) -> None:
    """Measure each case RUNS times, and print the table. Exit code 1 where a goal was missed."""
    figures = [_help(runs), _health(runs)]
    for case in only or (*_OWN, *CASES):
        if case in _OWN:
            figures.append(_OWN[case](runs))
            continue
        pairs = []
        for number in range(runs):
            pairs.append(CASES[case]())
            click.echo(f"{case} {number + 1} of {runs}: {pairs[-1]}", err=True)
        figures += [_recoveries(case, pairs), *(_own(pairs) if case == "archived" else ())]
    click.echo(f"{machine()}; median of {runs}, in brackets the least and the most\n")
    click.echo("| | by hand | the tool | reached | goal, at most | met |\n|---|---|---|---|---|---|")
    for figure in figures:
        click.echo(str(figure))
    sys.exit(any(figure.reached > figure.goal for figure in figures))


if __name__ == "__main__":
    main()
