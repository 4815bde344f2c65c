"""What the tool takes of its own, against what it cannot help: its libraries, PostgreSQL and CloudNativePG."""

from __future__ import annotations

import resource
import subprocess
import sys
from datetime import UTC, datetime

from bench.measured import measured
from bench.scale import ENV, RECOVERED, Bench

_CLIENTS = "import google.cloud.storage, kubernetes.client"
_RECOVERY, _UNKNOWN = 7, 3
_GONE_SECONDS = 300


def health() -> tuple[float, float]:
    """Processor seconds of a Python that imports the clients with which ``dr health`` asks, and of ``dr health``."""
    return _processor_seconds("-c", _CLIENTS), _processor_seconds("-m", "dr", "health", "--env", ENV)


def _processor_seconds(*words: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=False)
    if done.returncode >= _UNKNOWN:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def hopeless() -> tuple[float, float]:
    """A recovery to a moment after which nothing was archived: seconds from the Cluster's creation to PostgreSQL's own
    word that it is in vain, and to the end of the command.
    """
    bench = Bench.reset()
    bench.kubectl("scale", "deployment", "--all", "--replicas=0", "-n", ENV)
    bench.kubectl("wait", "pod", "--for=delete", "--all", f"--timeout={_GONE_SECONDS}s", "-n", ENV)
    insisting = ("--skip-seal", "--override", f"target-outside={RECOVERED}", "--yes", "--confirm", RECOVERED)
    measured("pitr", "--env", ENV, "--target-time", bench.now(), *insisting, code=_RECOVERY)
    ended = datetime.now(UTC)
    created = bench.kubectl("get", "cluster", RECOVERED, "-o", "jsonpath={.metadata.creationTimestamp}")
    pods = ("-l", f"cnpg.io/cluster={RECOVERED},cnpg.io/jobRole=full-recovery", "-c", "full-recovery")
    lines = bench.kubectl("logs", *pods, "--timestamps", "--tail=-1").splitlines()
    fatal = min(line.split()[0] for line in lines if '"FATAL"' in line)
    bench.kubectl("delete", "cluster", RECOVERED)
    begin = datetime.fromisoformat(created)
    return (datetime.fromisoformat(fatal) - begin).total_seconds(), (ended - begin).total_seconds()
