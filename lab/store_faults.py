"""A proxy in front of the object store that answers some requests as a store does on a bad day.

Which requests is said by object name and by every n-th, how by one of `ANSWERS`, and for how long in seconds, counted
from the first moment or from when a certain object is first asked for: so a fault begins in the middle of a replay.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

ANSWERS = {
    "503": "the service is unavailable",
    "404": "the object is not there, and no listing has it",
    "slow": "every answer comes late",
    "cut": "the connection ends in the middle of the body",
}
"""Name of an answer -> what it means."""

_ERRORS = {503: ("The service is currently unavailable.", "UNAVAILABLE"), 404: ("No such object.", "NOT_FOUND")}
_OBJECTS = re.compile(r"/(?:(?:down|up)load/)?storage/v1/b/[^/]+/o(?:/(?P<name>.+))?")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
_PIECE = 1 << 16


@dataclass(frozen=True, kw_only=True)
class StoreFault:
    """What goes wrong, for which requests, and for how long."""

    answer: str = "503"
    """A name of `ANSWERS`."""
    on: str = ""
    """Found in an object's name, or in the prefix of a listing (regular expression). Empty: every request."""
    every: int = 1
    """Only each n-th of those requests."""
    times: int = -1
    """How many requests it meets in all; -1 is no limit."""
    seconds: float = float("inf")
    """How long it lasts once it has begun."""
    after: str = ""
    """It begins when an object of such a name is first read or listed (regular expression). Empty: at once."""
    slow_by: float = 5.0
    """Seconds that a slow answer waits."""

    def __post_init__(self) -> None:
        """Raises ValueError where it could never be met."""
        if self.answer not in ANSWERS or self.every < 1:
            raise ValueError(f"no such fault: {self}")


@dataclass(frozen=True)
class Asked:
    """A request, by what it is about: the object's name or the listing's prefix; empty where it is about neither."""

    name: str
    listing: bool

    @classmethod
    def of(cls, method: str, target: str) -> Asked:
        """From a request line, as in Google's JSON API."""
        parts = urlsplit(target)
        found = _OBJECTS.fullmatch(parts.path)
        if found is None:
            return cls("", listing=False)
        options = parse_qs(parts.query)
        if found["name"]:
            return cls(unquote(found["name"]), listing=False)
        listing = method == "GET"
        return cls(options.get("prefix" if listing else "name", [""])[0], listing=listing)


class FaultyStore:
    """The state of one fault: whether it has begun, and which requests it met. Safe to use from many threads."""

    def __init__(self, fault: StoreFault, clock: Callable[[], float] = time.monotonic) -> None:
        self.fault = fault
        self.met: list[str] = []
        """The names in the requests that it met, in order."""
        self._clock = clock
        self._lock = threading.Lock()
        self._begun = None if fault.after else clock()
        self._asked = 0

    @property
    def begun(self) -> bool:
        """Whether it has begun; it may be over since."""
        return self._begun is not None

    @property
    def over(self) -> bool:
        """Whether it meets no request any more."""
        used_up = 0 <= self.fault.times <= len(self.met)
        return used_up or (self._begun is not None and self._clock() - self._begun >= self.fault.seconds)

    def meets(self, asked: Asked) -> bool:
        """Whether this request goes wrong; counts it."""
        fault = self.fault
        with self._lock:
            if self._begun is None and asked.name and re.search(fault.after, asked.name):
                self._begun = self._clock()
            if self._begun is None or self.over or (fault.on and not re.search(fault.on, asked.name)):
                return False
            self._asked += 1
            if self._asked % fault.every:
                return False
            self.met.append(asked.name)
            return True

    def hides(self, asked: Asked) -> bool:
        """Whether this listing has to leave objects out."""
        return self.fault.answer == "404" and asked.listing and self.begun and not self.over

    def without_hidden(self, listing: bytes) -> bytes:
        """A listing's JSON without the objects that are said not to be there."""
        found: dict[str, Any] = json.loads(listing)
        kept = [item for item in found.get("items", ()) if not re.search(self.fault.on, item["name"])]
        return json.dumps({**found, "items": kept}).encode()


@contextmanager
def faulty(address: tuple[str, int], store: tuple[str, int], state: FaultyStore) -> Iterator[tuple[str, int]]:
    """The object store at `store`, with `state`'s fault, served at `address`; yields where it listens."""

    class Handler(_Handler):
        upstream = store
        faults = state

    with _Server(address, Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield (str(server.server_address[0]), server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that goes away in the middle is what faults are for."""


class _Handler(BaseHTTPRequestHandler):
    """Answers any method."""

    protocol_version = "HTTP/1.1"
    upstream: tuple[str, int]
    faults: FaultyStore

    def _answer(self) -> None:
        # A request is read to its end: whoever still writes it would see a broken connection and no answer.
        body = self._body()
        asked = Asked.of(self.command, self.path)
        met, fault = self.faults.meets(asked), self.faults.fault
        if met and fault.answer == "slow":
            time.sleep(fault.slow_by)
        if met and (fault.answer == "503" or (fault.answer == "404" and not asked.listing)):
            self._refuse(int(fault.answer))
            return
        self._forward(body, asked, cut=met and fault.answer == "cut")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - http.server's names

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces: list[bytes] = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _refuse(self, code: int) -> None:
        message, status = _ERRORS[code]
        body = json.dumps({"error": {"code": code, "message": message, "status": status}}).encode()
        self._send(code, [("Content-Type", "application/json")], body)

    def _forward(self, body: bytes, asked: Asked, *, cut: bool) -> None:
        connection = http.client.HTTPConnection(*self.upstream, timeout=600)
        # As it came, so that the links in an answer lead back here.
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP - {"host"}}
        try:
            connection.request(self.command, self.path, body=body, headers=headers)
            answer = connection.getresponse()
            known = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP]
            if self.faults.hides(asked) and answer.status == http.client.OK:
                self._send(answer.status, known, self.faults.without_hidden(answer.read()))
            elif self.command == "HEAD" or answer.length is None:
                self._send(answer.status, known, answer.read(), answer.getheader("Content-Length"))
            else:
                self._stream(answer, known, cut=cut)
        finally:
            connection.close()

    def _stream(self, answer: http.client.HTTPResponse, headers: list[tuple[str, str]], *, cut: bool) -> None:
        length = answer.length or 0
        self._send(answer.status, headers, b"", str(length))
        left = length // 2 if cut else length
        while left and (piece := answer.read(min(_PIECE, left))):
            self.wfile.write(piece)
            left -= len(piece)
        # Fewer bytes than were announced, however that came about: only the end of the connection says so.
        self.close_connection = self.close_connection or cut or left > 0

    def _send(self, code: int, headers: list[tuple[str, str]], body: bytes, length: str | None = None) -> None:
        self.send_response_only(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
