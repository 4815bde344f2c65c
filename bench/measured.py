"""Runs ``dr`` as an operator would, and says what it cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any

import psutil

_SAMPLE_SECONDS = 0.05


def machine() -> str:
    """What the figures were measured on."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB of memory, load {os.getloadavg()[2]:.1f} over 15 minutes"


@dataclass(frozen=True)
class Measured:
    """Seconds from the command's start to its end, what its process held at most, and what it said."""

    seconds: float
    resident_mib: float
    document: dict[str, Any]


def measured(*words: str, variables: Mapping[str, str] | None = None, code: int = 0) -> Measured:
    """Run ``python -m dr`` with ``words``, with ``variables`` besides this environment's. Ends the program where that
    does not end with ``code``.
    """
    begin, resident = time.monotonic(), 0
    with (
        TemporaryFile("w+") as output,
        subprocess.Popen(
            [sys.executable, "-m", "dr", *words, "--json"],
            stdout=output,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(variables or {})},
        ) as process,
    ):
        seen = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                resident = max(resident, seen.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(_SAMPLE_SECONDS)
        process.wait()
        seconds = time.monotonic() - begin
        output.seek(0)
        document = json.load(output)
    if process.returncode != code:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}: {document.get('problems')}")
    return Measured(seconds, resident / 2**20, document)
