"""A client with one connection that it keeps: it inserts row after row, and when it is disconnected it is over."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread

import psycopg2  # type: ignore[import-untyped]

from tests.e2e.cli_runner import CliRunner
from tests.e2e.ledger_writers import connection_to, credentials
from tests.support.waiting import HANG_SECONDS, wait_for

TABLE = "SET ROLE tomoda; DROP TABLE IF EXISTS session; CREATE TABLE session (n bigint PRIMARY KEY)"
_PAUSE_SECONDS = 0.05


@dataclass
class OneSession:
    """``acknowledged`` are the numbers whose commit was acknowledged to it; ``over`` is set once it is disconnected."""

    acknowledged: list[int] = field(default_factory=list)
    over: Event = field(default_factory=Event)

    def await_more(self, rows: int = 5) -> None:
        """Wait until it has written some rows more; it is a failure if it was disconnected."""
        wanted = len(self.acknowledged) + rows
        wait_for(lambda: len(self.acknowledged) >= wanted or self.over.is_set())
        assert not self.over.is_set()

    def missing(self, runner: CliRunner, cluster: str) -> list[int]:
        """What was acknowledged to it and is not in this Cluster."""
        there = set(map(int, runner.psql(cluster, "SELECT n FROM session").split()))
        return [number for number in self.acknowledged if number not in there]


@contextmanager
def one_session(runner: CliRunner, address: str) -> Iterator[OneSession]:
    """Within the context such a client is at work at this address, in :data:`TABLE`, as the application's role."""
    client, ends = OneSession(), Event()
    connection = connection_to(address, credentials(runner))

    def work() -> None:
        with suppress(psycopg2.Error), connection.cursor() as cursor:
            for number in range(10**9):
                if ends.wait(_PAUSE_SECONDS):
                    return
                cursor.execute("INSERT INTO session VALUES (%s)", (number,))
                client.acknowledged.append(number)
        client.over.set()

    thread = Thread(target=work)
    thread.start()
    try:
        client.await_more()
        yield client
    finally:
        ends.set()
        thread.join(HANG_SECONDS)
        connection.close()
