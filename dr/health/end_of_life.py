"""Until when versions of CloudNativePG are supported. Pure.

A minor version is supported until three months after the next one (its ``docs/src/supported_releases.md``); days that
upstream only estimates are the last of the month that it names. ``health.endOfLife`` adds to the table.
"""

from collections.abc import Mapping
from datetime import date

from semver import Version

ENDS: Mapping[str, date] = {
    "1.29": date(2026, 9, 29),
    "1.30": date(2026, 12, 31),
    "1.31": date(2027, 3, 31),
    "1.32": date(2027, 6, 30),
    "1.33": date(2027, 9, 30),
}
OLDEST = Version(1, 29, 0)
"""What is older has ended."""

WITHOUT_IN_TREE = Version(1, 31, 0)
"""The operator that does not know ``barmanObjectStore`` any more (release notes of 1.30, "Important changes")."""
LAST_IN_TREE = "1.30"

SAFE_PLUGIN = Version(0, 12, 0)
"""Older ones may mix up WAL segments that are fetched in parallel (plugin-barman-cloud#516)."""


def end_of(version: Version, more: Mapping[str, date]) -> date | None:
    """The last day on which ``version`` of the operator is supported; None when it is newer than what is known."""
    minor = f"{version.major}.{version.minor}"
    known = {**ENDS, **more}.get(minor)
    if known is not None:
        return known
    return date.min if version < OLDEST else None


def parsed(text: str) -> Version | None:
    """The version in an image's tag, such as ``1.30.0`` or ``v0.14.0``; None when it is none."""
    text = text.removeprefix("v")
    return Version.parse(text) if Version.is_valid(text) else None
