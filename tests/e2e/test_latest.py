"""Recovering everything: what was acknowledged to a client is there, up to the moment the writers were stopped."""

import threading
import time

import httpx
import pytest

from tests.e2e.operator_seat import Seat, await_health

pytestmark = pytest.mark.long


class Writer:
    """A client that writes through the API as fast as it is answered, and remembers what was acknowledged."""

    def __init__(self, url: str) -> None:
        self.acknowledged: list[int] = []
        self.refused = 0
        self._url = url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._over.is_set():
                try:
                    answer = client.post(self._url)
                except httpx.HTTPError:
                    self.refused += 1
                    time.sleep(0.05)
                    continue
                if answer.status_code == 201:
                    self.acknowledged.append(answer.json()["id"])


def test_no_acknowledged_row_is_missing_after_latest(clean_dev: Seat) -> None:
    url = clean_dev.health_url()
    assert await_health(url, 200).status_code == 200
    with Writer(url.removesuffix("/health") + "/users") as writer:
        time.sleep(2)
        outcome = clean_dev.dr("latest", "--env", "dev", "--yes")

    assert outcome.code == 0, outcome
    assert outcome.document["target"] == "latest"
    # THEN it was writing when it was stopped, and every row that it was promised is there
    assert len(writer.acknowledged) > 10
    assert writer.refused > 0
    ids = ",".join(map(str, writer.acknowledged))
    found = clean_dev.psql(clean_dev.recovered, f"SELECT count(*) FROM users WHERE id IN ({ids})")
    assert int(found) == len(writer.acknowledged)
    assert int(clean_dev.psql(clean_dev.recovered, "SELECT max(id) FROM users")) >= writer.acknowledged[-1]
