"""More than one database in one archive, each with the backups and the WAL that are its own. Pure.

A Cluster that was created again under its name archives to the folder of the one before, where
``cnpg.io/skipEmptyWalArchiveCheck`` lets it; so does one that went through ``pg_upgrade``. PostgreSQL gives each
database a system identifier when it is made (``initdb``), names segments by timeline and number alone, and refuses a
segment of another database. So no window, and no recovery, leads from the one's base backups through the other's WAL.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from dr.archive.contents import Archive, BaseBackup
from dr.core.wal_names import is_segment, timeline_of

_CLOCKS = timedelta(minutes=1)
"""How far the bucket's clock may be from the database's, which says when a base backup began."""
_OUT_OF_ORDER = timedelta(minutes=10)
"""CloudNativePG archives several segments at once (``wal.maxParallel``), so times need not rise with the numbers."""


def systems(archive: Archive) -> tuple[str, ...]:
    """The system identifiers of the base backups, that of the first base backup first; without those not recorded."""
    in_order = sorted(archive.backups, key=lambda backup: backup.begin)
    return tuple(dict.fromkeys(backup.system_id for backup in in_order if backup.system_id))


def strangers(archive: Archive) -> tuple[str, ...]:
    """The system identifiers that were found in the WAL, and that no base backup has."""
    known = systems(archive)
    return tuple(sorted(set(archive.read.values()) - {*known, ""})) if known else ()


def parts(archive: Archive) -> tuple[Archive, ...]:
    """``archive`` by its databases, the oldest first: itself where it is of one."""
    known = systems(archive)
    return (archive,) if len(known) < 2 else tuple(_part(archive, system) for system in known)


def part_of(archive: Archive, base: BaseBackup) -> Archive:
    """What ``archive`` has of the database that ``base`` is of; of the newest where that is not recorded."""
    known = systems(archive)
    return archive if len(known) < 2 else _part(archive, base.system_id or known[-1])


def several(archive: Archive) -> str:
    """That there is more than one database in ``archive``, in a sentence; empty where there is one."""
    known, others = systems(archive), strangers(archive)
    if len(known) + len(others) < 2:
        return ""
    told = [f"{system} (base backups from {_first(archive, system).backup_id} on)" for system in known]
    told += [f"{system} (WAL only)" for system in others]
    return f"{archive.server_name} is an archive of {len(told)} databases, by their system identifiers: " + ", ".join(
        told
    )


def backwards(archive: Archive) -> Iterator[str]:
    """The segments at which the times of the objects run backwards along a timeline, both sides of each step: later
    ones may have been written over by another database.
    """
    for timeline, numbers in archive.segments.items():
        for before, after in pairwise(numbers):
            first, second = archive.archived(timeline, before), archive.archived(timeline, after)
            if first and second and first - second > _OUT_OF_ORDER:
                yield from (archive.name(timeline, before), archive.name(timeline, after))


def _first(archive: Archive, system: str) -> BaseBackup:
    """The first base backup of ``system``."""
    own = (backup for backup in archive.backups if backup.system_id == system)
    return min(own, key=lambda backup: backup.begin)


def _part(archive: Archive, system: str) -> Archive:
    known = systems(archive)
    own = frozenset(_segments_of(archive, known, system))
    return replace(
        archive,
        backups=tuple(backup for backup in archive.backups if (backup.system_id or known[-1]) == system),
        files={name: time for name, time in archive.files.items() if name in own or not is_segment(name)},
        damaged={name: why for name, why in archive.damaged.items() if name in own},
    )


def _segments_of(archive: Archive, known: tuple[str, ...], system: str) -> Iterator[str]:
    """The segments of ``system``: by their first page where that was read, else by the time of their object."""
    later = known[known.index(system) + 1 :]
    until = min((_appears(archive, one) for one in later), default=None)
    since = _first(archive, system).begin - _CLOCKS if system != known[0] else None
    newest: dict[int, datetime] = {}
    for name in sorted(filter(is_segment, archive.files), reverse=True):
        time, timeline = archive.files[name], timeline_of(name)
        least = newest.get(timeline)
        if read := archive.read.get(name):
            belongs = read == system
        elif time is None:
            belongs = not later
        else:
            overwritten = bool(later) and least is not None and time - least > _OUT_OF_ORDER
            belongs = (until is None or time < until) and (since is None or time >= since) and not overwritten
        if belongs:
            yield name
            if time is not None:
                newest[timeline] = min(time, least or time)


def _appears(archive: Archive, system: str) -> datetime:
    """When the first of ``system`` was archived, as far as is known."""
    times = [time for name, time in archive.files.items() if time and archive.read.get(name) == system]
    return min([_first(archive, system).begin, *times])
