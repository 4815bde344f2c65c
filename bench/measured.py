"""Runs ``dr`` as an operator would, and says what it cost."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import psutil

_SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Measured:
    """Seconds from the command's start to its end, what its process held at most, and what it said."""

    seconds: float
    resident_mib: float
    document: dict[str, Any]


def measured(*words: str) -> Measured:
    """Run ``python -m dr`` with ``words``. Ends the program where that fails."""
    begin, resident = time.monotonic(), 0
    with subprocess.Popen(
        [sys.executable, "-m", "dr", *words, "--json"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        seen = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                resident = max(resident, seen.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(_SAMPLE_SECONDS)
        output, _ = process.communicate()
    seconds = time.monotonic() - begin
    document = json.loads(output)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(words)} failed: {document['problems']}")
    return Measured(seconds, resident / 2**20, document)
