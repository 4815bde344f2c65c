"""The one way in which the lab fails, so that every failure says the same four things."""

from __future__ import annotations

from pathlib import Path

LOG_LINES_SHOWN = 15
"""How many of a log's last lines a failure quotes: enough for a stack trace's cause, short enough for one screen."""


class LabError(Exception):
    """Something the lab tried and could not do.

    Args:
        what: what was tried, as a phrase ("building kube").
        why: what stopped it, in one or more lines.
        remedy: what the reader can do about it.
        log: the file with the whole story, if there is one.
    """

    def __init__(self, what: str, why: str, remedy: str, log: Path | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.remedy = remedy
        self.log = log

    def __str__(self) -> str:
        lines = [f"failed: {self.what}", f"why:    {_indented(self.why)}", f"remedy: {_indented(self.remedy)}"]
        if self.log is not None:
            lines.append(f"log:    {self.log}")
        return "\n".join(lines)


class NotThisMachineError(LabError):
    """The machine cannot hold a lab at all (not Linux, not root, ...): nothing was tried, nothing was changed."""


def last_lines(log: Path, count: int = LOG_LINES_SHOWN) -> str:
    """The last `count` lines of `log`, or a note that it is empty or missing; never raises."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - 64 * 1024))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError as error:
        return f"(no log: {error.strerror})"
    return "\n".join(lines[-count:]) or "(its log is empty)"


def _indented(text: str) -> str:
    return text.strip().replace("\n", "\n        ")
