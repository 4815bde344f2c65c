"""The journal: what was done, when, by whom, in lines that survive the process.

One JSON object a line, appended and flushed at each event, on this machine: it is there when the cluster is not.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Journal:
    """Appends to one file. ``common`` stands in every line."""

    path: Path
    common: Mapping[str, Any]

    def write(self, event: str, at: datetime, **details: object) -> None:
        """Append one line. ``at`` is aware UTC."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = {"at": at.isoformat(), "event": event, **self.common, **details}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=str) + "\n")
