"""Drills in a row: how long each takes, where the time goes, and that none leaves anything behind.

Run it in the lab's environment, on a lab that is up and at rest; nothing is put back, as a drill changes nothing:

    python -m lab exec -- python -m bench.drills --runs 20
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass

import click

_KINDS = "cluster,pvc,secret,pod,service,job,serviceaccount,configmap"


@dataclass(frozen=True)
class Run:
    """One drill. ``left`` is what it left behind; seconds by phase are those of its RTO."""

    passed: bool
    whole: float
    rto: float
    rpo: float | None
    phases: dict[str, float]
    left: tuple[str, ...]


@click.command()
@click.option("--env", default="dev", show_default=True)
@click.option("--runs", default=20, show_default=True, type=click.IntRange(min=1))
@click.option("--quick", is_flag=True, help="Without amcheck.")
@click.option("--json", "as_json", is_flag=True)
def main(env: str, runs: int, quick: bool, as_json: bool) -> None:
    """Drill RUNS times in a row, and print what each took."""
    before = _objects(env)
    measured = []
    for number in range(1, runs + 1):
        run = _measure(env, before, quick=quick)
        measured.append(run)
        if not as_json:
            spent = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in run.phases.items())
            came = "passed" if run.passed else "FAILED"
            rpo = f"{run.rpo:.1f} s" if run.rpo is not None else "unknown"
            click.echo(
                f"{number:3} {came}, {run.whole:.1f} s, RTO {run.rto:.1f} s ({spent}), RPO {rpo}, left {len(run.left)}"
            )
    if as_json:
        click.echo(json.dumps([asdict(run) for run in measured], indent=2))
        return
    middle = statistics.median(run.rto for run in measured)
    passed, left = sum(run.passed for run in measured), sum(len(run.left) for run in measured)
    click.echo(f"{passed} of {runs} passed, median RTO {middle:.1f} s, {left} objects left behind")


def _measure(env: str, before: frozenset[str], *, quick: bool) -> Run:
    words = ["drill", "--env", env, "--json", *(["--quick"] if quick else [])]
    done = subprocess.run([sys.executable, "-m", "dr", *words], capture_output=True, text=True, check=False)
    document = json.loads(done.stdout)
    rto, rpo = document.get("rto") or {}, document.get("rpo") or {}
    if done.returncode:
        click.echo(done.stdout, err=True)
    return Run(
        passed=done.returncode == 0,
        whole=document.get("seconds", 0.0),
        rto=rto.get("seconds", 0.0),
        rpo=rpo.get("seconds"),
        phases=rto.get("phases", {}),
        left=tuple(sorted(_objects(env) - before)),
    )


def _objects(env: str) -> frozenset[str]:
    """The names of all objects beside the database, but for where drills keep their reports."""
    words = ["kubectl", "--context", f"lab-{env}", "get", _KINDS, "-n", "data", "-o", "name"]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    return frozenset(listed) - {f"configmap/postgres-dr-{env}-drills"}


if __name__ == "__main__":
    main()
