"""The end of the WAL: closing it on a source that runs, and reading where a recovered database left its source's.

PostgreSQL stops a recovery by time at the first commit *after* the target. If the archive holds none, the recovery ends
with "recovery ended before configured recovery target was reached", and CloudNativePG's Job tries again and again: six
minutes lost on a quiet database, measured. So one commit is made on purpose, the segment that holds it is closed, and
its arrival in the archive is awaited.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from dr.archive.contents import Switch
from dr.archive.promise import Promise, read_history
from dr.core.errors import StepFailedError
from dr.core.wal_names import name_of, position_of
from dr.postgres.psql import Psql

_COMMIT = "SELECT pg_current_xact_id()"  # takes a transaction id, so its commit is a WAL record
_END = (
    "SELECT here, left(pg_walfile_name(here), 8), pg_size_bytes(current_setting('wal_segment_size')) "
    "FROM pg_current_wal_insert_lsn() AS here"  # its own transaction: behind the commit above
)
_SWITCH = "SELECT pg_switch_wal()"
_AWAIT = """DO $$ BEGIN
  FOR attempt IN 1..{attempts} LOOP
    PERFORM pg_stat_clear_snapshot();
    IF (SELECT left(last_archived_wal, 24) >= '{segment}' FROM pg_stat_archiver) THEN RETURN; END IF;
    PERFORM pg_sleep(0.1);
  END LOOP;
END $$"""
_STATE = """SELECT coalesce(left(last_archived_wal, 24) >= '{segment}', false), archived_count,
  (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
  coalesce(last_failed_wal || ' at ' || last_failed_time, 'none')
FROM pg_stat_archiver"""
_HISTORY = "SELECT pg_read_file('pg_wal/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) || '.history')"
_LOOK_SECONDS = 2
_STALLED_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """The archive has the source's WAL up to ``end``; ``segment`` is the last one."""

    segment: str
    end: Promise


def seal_wal(psql: Psql, *, stop: Event, say: Callable[[str], None], limit: float = _STALLED_SECONDS) -> Sealed:
    """Commit, switch to a new WAL segment, and wait until the old one is archived.

    ``psql`` speaks to the source's primary. Segments are archived one after the other, so those before it are waited
    for too, as long as they get on; ``say`` gets how many. ``limit`` are the seconds in which none was archived
    after which StepFailedError ``wal-not-archived`` is raised. Safe to repeat: it costs one WAL segment.

    The segment is named by the commit's own position: at a segment's boundary ``pg_walfile_name`` names the segment
    before it or behind it, which depends on PostgreSQL's version (release notes of 16.0).
    """
    _, end, *_ = psql.ask(_COMMIT, _END, _SWITCH, stop=stop)
    here, timeline, segment_size = end.split("|")
    position, size = position_of(here), int(segment_size)
    segment = name_of(int(timeline, 16), (position - 1) // size, size)
    await_it = _AWAIT.format(segment=segment, attempts=_LOOK_SECONDS * 10)
    known, since = "", time.monotonic()
    while True:
        *_, state = psql.ask(await_it, _STATE.format(segment=segment), limit=_LOOK_SECONDS + 30, stop=stop)
        arrived, archived, waiting, failure = state.split("|")
        if arrived == "t":
            why = "up to which the source's WAL was sealed"
            return Sealed(
                segment=segment,
                end=Promise(timeline=int(timeline, 16), lsn=position, segment_size=size, why=why),
            )
        if archived != known:
            known, since = archived, time.monotonic()
        elif (stalled := time.monotonic() - since) > limit:
            raise StepFailedError(
                "wal-not-archived",
                f"the source's WAL does not reach the object store: {waiting} segments wait, none was archived for "
                f"{stalled:.0f} s; last failure: {failure}",
                "fix archiving first (credentials? bucket?): condition ContinuousArchiving of the Cluster",
            )
        say(f"{waiting} WAL segments wait to be archived, {segment} the last of them")


def ask_history(psql: Psql) -> tuple[Switch, ...]:
    """The history of the timeline that a primary is on, oldest switch first. Raises AccessError, ``sql-failed`` where
    it has none: its timeline is the first.
    """
    return read_history("\n".join(psql.ask(_HISTORY)))
