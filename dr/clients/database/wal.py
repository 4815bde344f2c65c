"""Sealing the WAL: getting a commit after the recovery target into the archive while the source still runs.

PostgreSQL stops a recovery by time at the first commit *after* the target. If the archive holds none, the recovery ends
with "recovery ended before configured recovery target was reached", and CloudNativePG's Job tries again and again: six
minutes lost on a quiet database, measured. So one commit is made on purpose, the segment that holds it is closed, and
its arrival in the archive is awaited.
"""

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
  RAISE EXCEPTION 'WAL segment {segment} is not archived; last failure: %',
    (SELECT coalesce(last_failed_wal || ' at ' || last_failed_time, 'none') FROM pg_stat_archiver);
END $$"""


def seal_wal(psql: Psql, *, limit: float, stop: Event) -> str:
    """Commit, switch to a new WAL segment, and wait until the old one is archived. Returns that segment's name.

    ``psql`` speaks to the source's primary; ``limit`` is in seconds. Raises AccessError ``wal-not-archived`` when the
    segment does not arrive. Safe to repeat: it costs one WAL segment.
    """
    segment = psql.ask(_COMMIT, _SWITCH, stop=stop)[-1]
    wait = _AWAIT.format(segment=segment, attempts=int(limit * 10))
    try:
        psql.ask(wait, limit=limit + 10, stop=stop)
    except AccessError as error:
        if error.code != "sql-failed":
            raise
        raise AccessError(
            "wal-not-archived",
            f"the source's WAL does not reach the object store: {error.cause}",
            "mend archiving first (credentials? bucket?): kubectl describe cluster, condition ContinuousArchiving",
        ) from error
    return segment
