"""Health of the WAL: whether it is archived, how far behind, and what of it the bucket really has. Pure."""

from collections.abc import Iterator
from datetime import datetime

from dr.archive.databases import systems
from dr.archive.window import Hole, holes, missing, settled, unusable, windows
from dr.cnpg.cluster import BARMAN_PLUGIN
from dr.config.health import HealthSettings
from dr.core.text import bytes_of, exact_moment_of, format_duration
from dr.core.wal_names import is_history, is_segment, number_of
from dr.health.check import Check, State, Unavailable, graded, worst
from dr.health.snapshot import ArchiveSeen, DatabaseFacts, HealthSnapshot, ServingCluster


def checks_of_wal(snapshot: HealthSnapshot, settings: HealthSettings) -> Iterator[Check]:
    """The checks ``archiving``, ``wal-lag``, ``wal-holes`` and ``window``; those of what is in the WAL are in
    :mod:`dr.health.wal_content`.
    """
    yield _archiving(snapshot)
    yield _lag(snapshot, settings)
    yield from _in_bucket(snapshot)


def _archiving(snapshot: HealthSnapshot) -> Check:
    name, serving, database = "archiving", snapshot.serving, snapshot.database
    if isinstance(serving, Unavailable):
        return serving.as_check(name)
    say, cluster = snapshot.commands, serving.cluster
    if serving.cluster.server_name is None:
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"the Cluster {serving.cluster.name} archives to no object store: what is written is in no backup",
            remedy=f"set isWALArchiver: true for {BARMAN_PLUGIN}, which it lists ({idle}), in Git too"
            if (idle := serving.cluster.idle_plugin)
            else "add its backup section or plugin (docs/configuration.md), in Git too",
        )
    said = serving.cluster.archiving
    if said.working is False:
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"CloudNativePG says that archiving fails: {said.message}",
            remedy=f"{say.kubectl('describe', 'cluster', cluster.name, namespace=cluster.namespace)}; "
            "credentials, bucket, network?",
        )
    if not isinstance(database, Unavailable) and _fails(database):
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"PostgreSQL's last attempt failed: {database.last_failed} at {_moment(database.last_failed_at)}",
            remedy=f"{say.kubectl('logs', str(cluster.primary), namespace=cluster.namespace)} | grep wal-archive; "
            "credentials, bucket, network?",
        )
    if said.working is None:
        return Check(
            name=name,
            state=State.WARNING,
            message="CloudNativePG has not said yet whether archiving works",
            remedy="see that the condition ContinuousArchiving comes",
        )
    return Check(name=name, state=State.OK, message=said.message or "works")


def _fails(database: DatabaseFacts) -> bool:
    """Whether the newest attempt to archive a segment was one that failed."""
    failed, archived = database.last_failed_at, database.last_archived_at
    return failed is not None and (archived is None or failed > archived)


def _lag(snapshot: HealthSnapshot, settings: HealthSettings) -> Check:
    name, database = "wal-lag", snapshot.database
    if isinstance(database, Unavailable):
        return database.as_check(name)
    after_failover = is_history(database.last_archived)
    if not (is_segment(database.last_archived) or after_failover) or database.last_archived_at is None:
        return Check(
            name=name,
            state=State.WARNING,
            message="PostgreSQL has not archived a segment since its statistics began",
            remedy="see the check archiving; a switch of the WAL shows whether it works: "
            + snapshot.commands.dr("mark", "NAME"),
        )
    size = database.segment_size
    # A history file is archived first on a new timeline; no segment of it has been full yet.
    archived = database.position // size * size
    if not after_failover:
        archived = (number_of(database.last_archived, size) + 1) * size
    behind = max(0, database.position - archived)
    age = (database.now - database.last_archived_at).total_seconds()
    waited = (database.now - database.waiting_since).total_seconds() if database.waiting_since else 0.0
    # A segment that is not full is closed by archive_timeout, and not at all when nothing was written.
    state = worst(
        (
            graded(waited, settings.wal_waiting_seconds),
            graded(age, settings.wal_age_seconds) if behind >= size else State.OK,
        )
    )
    return Check(
        name=name,
        state=state,
        message=f"{database.last_archived} was archived {format_duration(age)} ago; "
        f"{bytes_of(behind)} were written since, "
        f"{_waiting(database.waiting, waited)}",
        remedy="see the check archiving; a full disk is next" if state is not State.OK else "",
        values={
            "wal_behind_bytes": behind,
            "wal_archived_age_seconds": age,
            "wal_waiting_segments": database.waiting,
            "wal_waiting_seconds": waited,
        },
    )


def _waiting(count: int, waited: float) -> str:
    if count == 0:
        return "no segment waits"
    return f"{count} segment{'s wait' if count > 1 else ' waits'}, the oldest for {format_duration(waited)}"


def _in_bucket(snapshot: HealthSnapshot) -> Iterator[Check]:
    seen = snapshot.archive
    if isinstance(seen, Unavailable):
        yield from (seen.as_check(name) for name in ("wal-holes", "window"))
        return
    yield _holes(seen, snapshot)
    yield _window(seen, snapshot)


def _holes(seen: ArchiveSeen, snapshot: HealthSnapshot) -> Check:
    found = holes(seen.archive) if seen.archive else ()
    lasting = [hole for hole in found if hole.needed and settled(hole, snapshot.seen_at)]
    values = {"wal_holes_total": len(lasting)}
    if not lasting:
        return Check(name="wal-holes", state=State.OK, message="none that a base backup needs", values=values)
    newest, window = lasting[-1], snapshot.commands.dr("window")
    if newest.resumes is None:
        return Check(
            name="wal-holes",
            state=State.CRITICAL,
            message=f"{missing(newest)}, and no base backup was taken since: nothing behind it can be recovered",
            remedy=f"take a base backup now ({snapshot.take_one}), and find out what {_did(newest)} it: {window}",
            values=values,
        )
    return Check(
        name="wal-holes",
        state=State.WARNING,
        message=f"{missing(newest)}: no target between it and base backup {newest.resumes.backup_id} can be reached",
        remedy=f"find out what {_did(newest)} it; {window} shows what can be recovered",
        values=values,
    )


def _did(hole: Hole) -> str:
    return "damaged" if hole.damaged else "deleted"


def _window(seen: ArchiveSeen, snapshot: HealthSnapshot) -> Check:
    name = "window"
    if seen.archive is None:
        names = ", ".join(sorted(seen.server_names)) or "nothing at all"
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"there is nothing of serverName {seen.server_name} in the bucket; there is {names}",
            remedy="is backup.path right? If it is, the backups were deleted: take a base backup now",
        )
    newest_system = ["", *systems(seen.archive)][-1]
    default = [one for one in windows(seen.archive) if one.by_default and one.system_id in {newest_system, ""}]
    if not default:
        return Check(
            name=name,
            state=State.CRITICAL,
            message="nothing can be recovered: no base backup in the bucket is complete, with all of its own WAL",
            remedy=f"take a base backup now ({snapshot.take_one}); "
            f"{snapshot.commands.dr('window')} shows what there is",
        )
    last = max(default, key=lambda window: window.end.lsn)
    values = {"window_start_timestamp_seconds": last.start.timestamp()}
    if last.end.archived:
        values["window_end_timestamp_seconds"] = last.end.archived.timestamp()
    until = exact_moment_of(last.end.archived) if last.end.archived else last.end.segment
    told = f"from {exact_moment_of(last.start)} to {until}"
    newest = seen.archive.backups[-1]
    if newest in unusable(seen.archive):
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"{told}; the newest base backup, {newest.backup_id}, is of no use: "
            "a part of its own WAL is missing",
            remedy=f"take a base backup now ({snapshot.take_one}), and find out what became of its WAL: "
            + snapshot.commands.dr("window"),
            values=values,
        )
    if behind := _unarchived(snapshot, last.end.lsn):
        return Check(name=name, state=State.CRITICAL, message=f"{told}; {behind[0]}", remedy=behind[1], values=values)
    return Check(name=name, state=State.OK, message=told, values=values)


_ARRIVED_SECONDS = 60
"""A listing may be as much older than what the database says of the last segment."""


def _unarchived(snapshot: HealthSnapshot, end: int) -> tuple[str, str] | None:
    """Why the window ends before what PostgreSQL believes to be archived, and what helps."""
    database, serving = snapshot.database, snapshot.serving
    if isinstance(database, Unavailable) or isinstance(serving, Unavailable) or not is_segment(database.last_archived):
        return None
    at, size = database.last_archived_at, database.segment_size
    if at is None or (database.now - at).total_seconds() < _ARRIVED_SECONDS:
        return None
    claimed = (number_of(database.last_archived, size) + 1) * size
    if claimed <= end:
        return None
    return (
        f"PostgreSQL had archived up to {database.last_archived}, which the bucket does not have in one piece",
        f"is {_place(serving)} the bucket that {serving.cluster.name} archives to? Take a base backup now",
    )


def _place(serving: ServingCluster) -> str:
    return serving.cluster.store.url if serving.cluster.store else "this"


def _moment(time: datetime | None) -> str:
    return exact_moment_of(time) if time else "an unknown time"
