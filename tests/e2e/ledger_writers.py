"""Clients that write numbered rows without a pause, and keep what was acknowledged to them."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from threading import Event, Lock, Thread
from typing import Any

import httpx
import psycopg2  # type: ignore[import-untyped]

from lab.data.environments import ENVIRONMENTS
from tests.e2e.cli_runner import CliRunner
from tests.support.ledger import API, FOLLOWS, STAYS, Row
from tests.support.waiting import HANG_SECONDS

_PAUSE_SECONDS = 0.05
_ANSWER_SECONDS = 10
_INSERT = "INSERT INTO ledger (writer, n) VALUES (%s, %s)"
_TABLE = "SET ROLE tomoda; CREATE TABLE ledger (writer text, n bigint, PRIMARY KEY (writer, n))"


class Ledger:
    """The acknowledged rows, in the order of their acknowledgement. Safe to use from many threads."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._lock = Lock()

    def add(self, row: Row) -> None:
        with self._lock:
            self._rows.append(row)

    def count(self, writer: str = "") -> int:
        """How many there are, of one writer if one is named."""
        with self._lock:
            return sum(row.writer == writer for row in self._rows) if writer else len(self._rows)

    def rows(self) -> list[Row]:
        """All rows so far."""
        with self._lock:
            return list(self._rows)


@contextmanager
def writing(runner: CliRunner, writers: tuple[str, ...], ledger: Ledger) -> Iterator[None]:
    """Within the context these writers are at work on the first Cluster, in a table that is made for them."""
    runner.psql(runner.source, _TABLE)
    over = Event()
    threads = [Thread(target=_WORK[writer], args=(runner, writer, ledger, over)) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(HANG_SECONDS)


def _through_the_application(runner: CliRunner, writer: str, ledger: Ledger, over: Event) -> None:
    url = runner.health_url().removesuffix("/health") + "/users"
    with httpx.Client(timeout=_ANSWER_SECONDS, trust_env=False) as client:
        while not over.wait(_PAUSE_SECONDS):
            with suppress(httpx.TransportError):
                answer = client.post(url)
                if answer.status_code == httpx.codes.CREATED:
                    told = answer.json()
                    ledger.add(Row(writer, int(told["id"]), datetime.fromisoformat(told["committed_at"])))


def _directly(runner: CliRunner, writer: str, ledger: Ledger, over: Event) -> None:
    """A row a transaction. A number whose transaction failed, or got no answer, is not used again."""
    password = credentials(runner)
    number = 0
    while not over.wait(_PAUSE_SECONDS):
        cluster = _serving(runner) if writer == FOLLOWS else runner.source
        address = _address(runner, cluster) if cluster else ""
        if not address:
            continue
        connection = None
        try:
            connection = connection_to(address, password)
            with connection.cursor() as cursor:
                while not over.is_set():
                    number += 1
                    cursor.execute(_INSERT, (writer, number))
                    ledger.add(Row(writer, number))
                    time.sleep(_PAUSE_SECONDS)
        except psycopg2.Error:
            continue
        finally:
            if connection is not None:
                connection.close()


_WORK = {API: _through_the_application, FOLLOWS: _directly, STAYS: _directly}


def connection_to(address: str, password: Mapping[str, str]) -> Any:
    # A server that is gone without a goodbye is given up soon, so that the client connects anew.
    connection = psycopg2.connect(
        host=address,
        dbname="tomoda",
        user=password["username"],
        password=password["password"],
        connect_timeout=5,
        tcp_user_timeout=_ANSWER_SECONDS * 1000,
        application_name="ledger",
    )
    connection.autocommit = True
    return connection


def credentials(runner: CliRunner) -> dict[str, str]:
    """The application's own credentials, which are those of every Cluster that is recovered from the first."""
    words = 'go-template={{range $key, $value := .data}}{{$key}} {{$value | base64decode}}{{"\\n"}}{{end}}'
    lines = runner.kubectl("get", "secret", f"{runner.source}-app", "-n", "data", "-o", words).splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


def _serving(runner: CliRunner) -> str:
    """The Cluster that the Service leads to; empty where the API server does not answer."""
    with suppress(AssertionError):
        return serving(runner)
    return ""


def serving(runner: CliRunner) -> str:
    """The Cluster that the Service leads to."""
    (service,) = (environment.service for environment in ENVIRONMENTS if environment.name == runner.env)
    words = ("service", service, "-n", "data", "-o", "jsonpath={.spec.externalName}")
    return runner.kubectl("get", *words).partition("-rw.")[0]


def _address(runner: CliRunner, cluster: str) -> str:
    """The address of a Cluster's own read-write Service; empty where there is none, or nobody to ask."""
    with suppress(AssertionError):
        words = ("service", f"{cluster}-rw", "-n", "data", "--ignore-not-found", "-o", "jsonpath={.spec.clusterIP}")
        return runner.kubectl("get", *words)
    return ""
