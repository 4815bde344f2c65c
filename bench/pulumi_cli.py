"""The tool against the way by hand of the runbook, in one run on one lab: one source, one target, seconds and ratio.

By hand means what an operator types at best, without a pause: the Cluster's manifest is at hand, ``kubectl apply``, and
a look twice a second until CloudNativePG calls it healthy. The tool's time is all-in: from the command's start to its
end, with the writers stopped, the WAL sealed, everything verified, and the state written.

The lab's data is put back before each case.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.measured import measured
from bench.scale import ENV, RECOVERED, SOURCE, Bench

HAND = "postgres-dev-by-hand"
_LIMIT_SECONDS = 900
_LIKE_THE_SOURCE = ("imageName", "storage", "env", "resources")


@dataclass(frozen=True)
class Pair:
    """One recovery by hand and one with the tool, in seconds. Of the tool's, ``cluster`` is CloudNativePG's own part,
    ``engine`` what declaring takes besides it, and ``looking`` all that comes before the first step.
    """

    hand: float
    tool: float
    cluster: float
    engine: float
    looking: float

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


def by_tool(target: str) -> tuple[float, float, float, float]:
    """Seconds of the whole command, of CloudNativePG's part of it, of the engine's, and until the first step."""
    done = measured("pitr", "--env", ENV, "--target-time", target, "--yes", "--confirm", RECOVERED)
    steps = {step["key"]: step["seconds"] for step in done.document["steps"]}
    cluster = float(done.document["clusterSeconds"])
    engine = steps["recover"] - cluster + steps["settle"]
    return done.seconds, cluster, round(engine, 2), round(done.seconds - sum(steps.values()), 2)


def archived() -> Pair:
    """Everything up to the target, and a commit behind it, is archived before either begins."""
    bench = Bench.reset()
    target = bench.now()
    bench.await_archive()
    return Pair(by_hand(bench, target), *by_tool(target))


def _at_rest() -> Bench:
    """A database that was not just loaded: autovacuum would fill the WAL segment that everybody waits for."""
    bench = Bench.reset()
    bench.psql("VACUUM ANALYZE", "CHECKPOINT", "SELECT pg_switch_wal()")
    return bench


def at_once() -> Pair:
    """A table is dropped, and the recovery begins at once: no commit after the target is archived yet.

    The tool comes first: waiting for the one by hand archives what the other would have had to wait for.
    """
    bench = _at_rest()
    target = bench.now()
    bench.psql("DROP TABLE users CASCADE")
    tool = by_tool(target)
    bench = _at_rest()
    bench.kubectl("scale", "deployment", "--all", "--replicas=0", "-n", ENV)
    target = bench.now()
    bench.psql("DROP TABLE users CASCADE")
    return Pair(by_hand(bench, target), *tool)


def large() -> Pair:
    """1.5 GiB in the base backup, and 137 WAL segments with changes behind it."""
    bench = Bench.reset()
    bench.fill(1.5)
    bench.back_up()
    bench.write_segments(137)
    target = bench.now()
    bench.await_archive()
    return Pair(by_hand(bench, target), *by_tool(target))


def before_drop() -> float:
    """A table is dropped, and nobody says when: seconds from the command to the verified database."""
    bench = Bench.reset()
    bench.psql("DROP TABLE users CASCADE")
    return measured("pitr", "--env", ENV, "--before-drop", "users", "--yes", "--confirm", RECOVERED).seconds


CASES: dict[str, Callable[[], Pair]] = {"archived": archived, "at-once": at_once, "large": large}
