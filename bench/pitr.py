"""How much ``dr pitr`` adds to what CloudNativePG itself takes, and how much memory it holds.

Run it in the lab's environment, on a lab that is up and at rest; it puts the lab's data back before each run:

    python -m lab exec -- python -m bench.pitr --runs 3
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import click

from bench.measured import measured


@dataclass(frozen=True)
class Run:
    """One recovery. Seconds from the command's start to its end, and of CloudNativePG from creation to healthy."""

    all_in: float
    cloudnativepg: float
    ratio: float
    resident_mib: float


@click.command()
@click.option("--env", default="dev", show_default=True)
@click.option("--runs", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True)
def main(env: str, runs: int, as_json: bool) -> None:
    """Recover RUNS times and print what each took."""
    measured = [_measure(env) for _ in range(runs)]
    middle = statistics.median(run.ratio for run in measured)
    if as_json:
        click.echo(json.dumps({"runs": [asdict(run) for run in measured], "medianRatio": middle}, indent=2))
        return
    for run in measured:
        click.echo(
            f"all-in {run.all_in:5.1f} s, CloudNativePG {run.cloudnativepg:5.1f} s, ratio {run.ratio:.2f}, "
            f"memory {run.resident_mib:.0f} MiB"
        )
    click.echo(f"median ratio {middle:.2f}")


def _measure(env: str) -> Run:
    subprocess.run([sys.executable, "-m", "lab", "reset"], check=True, stdout=sys.stderr)
    target = datetime.now(UTC).isoformat(timespec="seconds")
    agreed = ("--yes", "--confirm", f"postgres-{env}-recovered")
    run = measured("pitr", "--env", env, "--target-time", target, *agreed)
    own = run.document["clusterSeconds"]
    return Run(all_in=run.seconds, cloudnativepg=own, ratio=run.seconds / own, resident_mib=run.resident_mib)


if __name__ == "__main__":
    main()
