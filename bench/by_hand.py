"""The tool against the way by hand of the runbook, in one run on one lab: one source, one target, seconds and ratio.

By hand means what an operator types at best, without a pause: the Cluster's manifest is at hand, ``kubectl apply``, and
a look twice a second until CloudNativePG calls it healthy. The tool's time is all-in: from the command's start to its
end, with the writers stopped, the WAL sealed, everything verified, and the state written.

Run it in the lab's environment, on a lab that is up and at rest; it puts the lab's data back before each case:

    python -m lab exec -- python -m bench.by_hand archived       # the WAL is archived: at most 1.10
    python -m lab exec -- python -m bench.by_hand at-once        # a table was dropped a moment ago: at most 0.10
    python -m lab exec -- python -m bench.by_hand large          # 1.5 GiB and 137 WAL segments: at most 0.60
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import click
import psutil

from bench.measured import measured
from bench.scale import ENV, RECOVERED, SOURCE, Bench

HAND = "postgres-dev-by-hand"
_LIMIT_SECONDS = 900
_NOW = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
_LIKE_THE_SOURCE = ("imageName", "storage", "env", "resources")


@dataclass(frozen=True)
class Pair:
    """One recovery by hand and one with the tool, in seconds. ``cluster`` is CloudNativePG's own part of the tool's."""

    hand: float
    tool: float
    cluster: float

    @property
    def ratio(self) -> float:
        """The tool's share of the time by hand."""
        return self.tool / self.hand


def manifest(source: dict[str, Any], target: str) -> dict[str, Any]:
    """What the runbook has an operator write: a Cluster like the source, recovered to ``target``."""
    store = source["spec"]["backup"]["barmanObjectStore"]
    place = {key: store[key] for key in ("destinationPath", "googleCredentials")}
    origin = {"name": "origin", "barmanObjectStore": {**place, "serverName": SOURCE}}
    recovery = {"source": "origin", "database": "tomoda", "owner": "tomoda", "recoveryTarget": {"targetTime": target}}
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": HAND},
        "spec": {
            **{key: source["spec"][key] for key in _LIKE_THE_SOURCE if key in source["spec"]},
            "instances": 1,
            "enablePDB": False,
            "bootstrap": {"recovery": recovery},
            "externalClusters": [origin],
            "backup": {"barmanObjectStore": {**place, "serverName": HAND}},
        },
    }


def by_hand(bench: Bench, target: str) -> float:
    """Seconds from ``kubectl apply`` to healthy; what was made is taken away again."""
    source = json.loads(bench.kubectl("get", "cluster", SOURCE, "-o", "json"))
    begin = time.monotonic()
    bench.kubectl("apply", "-f", "-", given=json.dumps(manifest(source, target)))
    phase = ("get", "cluster", HAND, "-o", "jsonpath={.status.phase}")
    while bench.kubectl(*phase) != "Cluster in healthy state":
        if time.monotonic() - begin > _LIMIT_SECONDS:
            raise SystemExit(f"by hand it was not healthy within {_LIMIT_SECONDS} s: {bench.kubectl(*phase)}")
        time.sleep(0.5)
    seconds = time.monotonic() - begin
    bench.kubectl("delete", "cluster", HAND)
    return seconds


def by_tool(target: str) -> tuple[float, float]:
    """Seconds of the whole command, and of CloudNativePG's part of it."""
    done = measured("pitr", "--env", ENV, "--target-time", target, "--yes", "--confirm", RECOVERED)
    return done.seconds, float(done.document["clusterSeconds"])


def _reset() -> Bench:
    subprocess.run([sys.executable, "-m", "lab", "reset"], check=True, stdout=sys.stderr)
    return Bench()


def archived() -> Pair:
    """Everything up to the target, and a commit behind it, is archived before either begins."""
    bench = _reset()
    target = bench.psql(_NOW)
    bench.await_archive()
    return Pair(by_hand(bench, target), *by_tool(target))


def at_once() -> Pair:
    """A table is dropped, and the recovery begins at once: no commit after the target is archived yet.

    The tool comes first: waiting for the one by hand archives what the other would have had to wait for.
    """
    bench = _reset()
    target = bench.psql(_NOW)
    bench.psql("DROP TABLE users CASCADE")
    tool = by_tool(target)
    bench = _reset()
    bench.kubectl("scale", "deployment", "--all", "--replicas=0", "-n", ENV)
    target = bench.psql(_NOW)
    bench.psql("DROP TABLE users CASCADE")
    return Pair(by_hand(bench, target), *tool)


def large() -> Pair:
    """1.5 GiB in the base backup, and 137 WAL segments with changes behind it."""
    bench = _reset()
    bench.fill(1.5)
    bench.back_up()
    bench.write_segments(137)
    target = bench.psql(_NOW)
    bench.await_archive()
    return Pair(by_hand(bench, target), *by_tool(target))


_CASES: dict[str, Callable[[], Pair]] = {"archived": archived, "at-once": at_once, "large": large}


@click.command()
@click.argument("case", type=click.Choice(list(_CASES)))
@click.option("--runs", default=1, show_default=True, type=click.IntRange(min=1))
def main(case: str, runs: int) -> None:
    """Recover by hand and with the tool RUNS times, and print what each took."""
    pairs = [_CASES[case]() for _ in range(runs)]
    machine = f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, load {os.getloadavg()[2]:.1f}"
    ratio = statistics.median(pair.ratio for pair in pairs)
    told = {"case": case, "machine": machine, "pairs": [asdict(pair) for pair in pairs], "medianRatio": round(ratio, 2)}
    click.echo(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
