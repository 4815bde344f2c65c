"""What of an environment has survived, as far as its backups go: which archive is the newest, what it can give back,
and what is lost where there is none.

The record that says which Cluster served lies in the cluster that is gone. The bucket shows it too: the one that served
last has archived last.
"""

from dataclasses import dataclass
from datetime import datetime

from dr.archive.contents import Archive
from dr.archive.window import Window, windows
from dr.core.text import exact_moment_of, mebibytes_of
from dr.core.wal_names import is_segment


@dataclass(frozen=True, kw_only=True)
class UsableArchive:
    """One archive that a database can be recovered from: up to ``window``'s end. ``newest`` is when it was last written
    to (aware UTC), None where the bucket does not tell.
    """

    archive: Archive
    window: Window
    newest: datetime | None

    @property
    def server_name(self) -> str:
        """The folder that it lies in."""
        return self.archive.server_name

    def __str__(self) -> str:
        """What it can give back, for people."""
        base = self.window.backups[-1]
        size = f", {mebibytes_of(base.size)}" if base.size else ""
        time = self.window.end.archived
        until = f"archived {exact_moment_of(time)}" if time else "of an unknown time"
        return (
            f"{self.server_name}: base backup {base.backup_id} of {exact_moment_of(base.end)}{size}, "
            f"and WAL up to {self.window.end.segment}, {until}"
        )


def usable_archives(archives: tuple[Archive, ...]) -> tuple[UsableArchive, ...]:
    """The archives that anything can be recovered from, the one that was written to last first."""
    found = [
        UsableArchive(archive=archive, window=usable[-1], newest=last_written(archive))
        for archive in archives
        if (usable := [window for window in windows(archive) if window.by_default] or list(windows(archive)))
    ]
    return tuple(sorted(found, key=_age, reverse=True))


def last_written(archive: Archive) -> datetime | None:
    """When its newest WAL segment was archived, or its newest base backup ended."""
    times = [time for name, time in archive.files.items() if time and is_segment(name)]
    times += [backup.end for backup in archive.backups]
    return max(times, default=None)


def _age(survivor: UsableArchive) -> tuple[bool, datetime | int]:
    return survivor.newest is not None, survivor.newest or 0


def loss(archives: tuple[Archive, ...], place: str) -> str:
    """What is lost when none of ``archives`` can give anything back."""
    if not archives:
        return (
            f"there is nothing below {place}: no base backup and no WAL; the database cannot be brought back from there"
        )
    told = []
    for archive in archives:
        segments = sum(1 for name in archive.files if is_segment(name))
        broken = len(archive.incomplete)
        told.append(
            f"{archive.server_name} has {len(archive.backups)} completed base backups, {broken} that are not, "
            f"and {segments} WAL segments"
        )
    return (
        f"no archive below {place} has a base backup that can be used ({'; '.join(told)}): WAL alone restores nothing"
    )
