"""`fault`: lets a part of the lab fail for a while, as the real one does on a bad day, and mends it again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lab import processes
from lab.node.network import ADDRESS
from lab.paths import State
from lab.platform import gcs

UNAVAILABLE = 503


@contextmanager
def bucket_unavailable(where: State) -> Iterator[None]:
    """Within the context the object store answers 503 to everything; after it the GCS server is back, with its objects.

    A process that is killed within leaves no server at all: `up` repairs that, as for any part.

    Raises:
        LabError: the GCS server did not come back.
    """
    record = processes.read(where, gcs.NAME)
    if record is not None:
        processes.stop(record)
    try:
        with refusing((ADDRESS, gcs.PORT)):
            yield
    finally:
        gcs.up(where)


def fail_bucket(where: State, seconds: float) -> None:
    """Have the object store answer 503 for this long.

    Raises:
        LabError: as `bucket_unavailable`.
    """
    with bucket_unavailable(where):
        time.sleep(seconds)


@contextmanager
def refusing(address: tuple[str, int]) -> Iterator[tuple[str, int]]:
    """A server that answers every request with 503, in the words of Google's API; yields where it listens."""
    with ThreadingHTTPServer(address, _Refusal) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield (str(server.server_address[0]), server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


class _Refusal(BaseHTTPRequestHandler):
    """Answers any method."""

    def _refuse(self) -> None:
        # A request is read to its end: whoever still writes it would see a broken connection and no answer.
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        error = {"code": UNAVAILABLE, "message": "The service is currently unavailable.", "status": "UNAVAILABLE"}
        body = json.dumps({"error": error}).encode()
        self.send_response(UNAVAILABLE)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _refuse  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""
