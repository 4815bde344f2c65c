"""The lab's background worker: writes a job every few seconds, so that the database is never quite idle."""

from __future__ import annotations

import os
import signal
import time

import psycopg2  # type: ignore[import-untyped]

EVERY = 3.0
"""Seconds between two jobs."""
RETRY = 1.0
"""Seconds before the database is tried again."""


def work(name: str) -> None:
    """Do jobs over one connection until it fails.

    Raises:
        psycopg2.Error: the database could not be reached, or refused.
    """
    connection = psycopg2.connect("")
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            while True:
                cursor.execute("INSERT INTO jobs (worker) VALUES (%s) RETURNING id", (name,))
                (job,) = cursor.fetchone() or (None,)
                cursor.execute("UPDATE jobs SET finished_at = clock_timestamp() WHERE id = %s", (job,))
                time.sleep(EVERY)
    finally:
        connection.close()


def main() -> None:
    """Work for ever, through every loss of the database."""
    # As process 1 of a container, Python would ignore the signal.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while True:
        try:
            work(os.environ.get("POD", "worker"))
        except psycopg2.Error as error:
            print(str(error).strip())
        time.sleep(RETRY)


if __name__ == "__main__":
    main()
