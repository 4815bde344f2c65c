"""Sealing the WAL: getting a commit after the recovery target into the archive while the source still runs.

PostgreSQL stops a recovery by time at the first commit *after* the target. If the archive holds none, the recovery ends
with "recovery ended before configured recovery target was reached", and CloudNativePG's Job tries again and again: six
minutes lost on a quiet database, measured. So one commit is made on purpose, the segment that holds it is closed, and
its arrival in the archive is awaited.
"""

import time
from collections.abc import Callable
from threading import Event

from dr.clients.database.sql import Psql
from dr.model.errors import AccessError

_COMMIT = "SELECT pg_current_xact_id()"  # takes a transaction id, so its commit is a WAL record
_SWITCH = "SELECT pg_walfile_name(pg_switch_wal())"  # its own transaction: the commit above is before the switch
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
_LOOK_SECONDS = 2
_STALLED_SECONDS = 120


def seal_wal(psql: Psql, *, stop: Event, say: Callable[[str], None], limit: float = _STALLED_SECONDS) -> str:
    """Commit, switch to a new WAL segment, and wait until the old one is archived. Returns that segment's name.

    ``psql`` speaks to the source's primary. Segments are archived one after the other, so those before it are waited
    for too, as long as they get on; ``say`` is told how many. ``limit`` are the seconds in which none was archived
    after which AccessError ``wal-not-archived`` is raised. Safe to repeat: it costs one WAL segment.
    """
    segment = psql.ask(_COMMIT, _SWITCH, stop=stop)[-1]
    await_it = _AWAIT.format(segment=segment, attempts=_LOOK_SECONDS * 10)
    known, since = "", time.monotonic()
    while True:
        *_, state = psql.ask(await_it, _STATE.format(segment=segment), limit=_LOOK_SECONDS + 30, stop=stop)
        arrived, archived, waiting, failure = state.split("|")
        if arrived == "t":
            return segment
        if archived != known:
            known, since = archived, time.monotonic()
        elif (stalled := time.monotonic() - since) > limit:
            raise AccessError(
                "wal-not-archived",
                f"the source's WAL does not reach the object store: {waiting} segments wait, none was archived for "
                f"{stalled:.0f} s; last failure: {failure}",
                "mend archiving first (credentials? bucket?): kubectl describe cluster, condition ContinuousArchiving",
            )
        say(f"{waiting} WAL segments wait to be archived, {segment} the last of them")
