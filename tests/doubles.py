"""Doubles that stand at the wire: an HTTP server on 127.0.0.1 that plays the Kubernetes API or the object store."""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from dr.clients.record_store import RecordStore
from dr.model.errors import AccessError
from dr.model.record import Record

T = TypeVar("T", bound="Wire")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as the double received it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """With names in lower case."""
    body: Any


@dataclass(kw_only=True)
class Wire:
    """A server double. ``answers`` maps a method and a path to a status and a body; a path that is not in it is 404."""

    url: str = ""
    answers: dict[tuple[str, str], tuple[int, bytes]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def on(self, path: str, body: object, *, status: int = 200, method: str = "GET") -> None:
        """Answer ``path`` with ``body``: JSON, or bytes as they are."""
        self.answers[method, path] = (status, body if isinstance(body, bytes) else json.dumps(body).encode())

    def respond(self, asked: Asked) -> tuple[int, bytes]:
        """The answer to a request."""
        return self.answers.get((asked.method, asked.path), (404, b"404 page not found\n"))

    def received(self, method: str) -> list[Asked]:
        """The requests of one method, in order."""
        return [asked for asked in self.asked if asked.method == method]


@dataclass(kw_only=True)
class ObjectStoreDouble(Wire):
    """The parts of the Cloud Storage JSON API that reading needs: list with a delimiter, stat, and download."""

    bucket: str
    objects: dict[str, bytes] = field(default_factory=dict)

    def respond(self, asked: Asked) -> tuple[int, bytes]:
        """List, stat or download."""
        if (asked.method, asked.path) in self.answers:
            return super().respond(asked)
        root = f"/storage/v1/b/{self.bucket}/o"
        path = asked.path.removeprefix("/download")
        if path == root:
            return 200, json.dumps(self._listing(asked.query)).encode()
        name = unquote(path.removeprefix(f"{root}/"))
        if not path.startswith(root) or name not in self.objects:
            return 404, b'{"error": {"code": 404, "message": "Not Found"}}'
        if asked.query.get("alt") == "media":
            first, _, last = asked.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
            part = self.objects[name][int(first) : int(last) + 1 if last else None]
            return (206, part) if part else (416, b"")
        return 200, json.dumps(self._stat(name)).encode()

    def add_backup(self, backup_id: str, end: str, *, server: str = "postgres-prod", status: str = "DONE") -> None:
        """A base backup below ``prod/``, with a backup.info as barman-cloud-backup writes it; it began 2 s before."""
        lines = {
            "backup_label": "None",
            "begin_time": end.replace(":33", ":31"),
            "begin_wal": "000000010000000000000003",
            "begin_xlog": "0/3000028",
            "compression": "None",
            "end_time": end,
            "end_wal": "000000010000000000000004",
            "end_xlog": "0/4000138",
            "error": "None",
            "mode": "concurrent",
            "pgdata": "/var/lib/postgresql/data/pgdata",
            "server_name": "cloud",
            "size": "67108864",
            "status": status,
            "systemid": "7575757575757575757",
            "tablespaces": "None",
            "timeline": "1",
            "version": "170006",
            "xlog_segment_size": "16777216",
        }
        folder = f"prod/{server}/base/{backup_id}"
        self.objects[f"{folder}/backup.info"] = "".join(f"{key}={value}\n" for key, value in lines.items()).encode()
        self.objects[f"{folder}/data.tar"] = b"tar"

    def _stat(self, name: str) -> dict[str, str]:
        size = str(len(self.objects[name]))
        return {"kind": "storage#object", "name": name, "bucket": self.bucket, "size": size, "generation": "1"}

    def _listing(self, query: dict[str, str]) -> dict[str, Any]:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        items, prefixes = [], set()
        for name in sorted(self.objects):
            if name.startswith(prefix):
                head, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
                if cut:
                    prefixes.add(f"{prefix}{head}{cut}")
                else:
                    items.append(self._stat(name))
        return {"kind": "storage#objects", "items": items, "prefixes": sorted(prefixes)}


@contextmanager
def serving(wire: T) -> Iterator[T]:
    """``wire`` while it serves at its ``url``."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(
                method=self.command,
                path=parts.path,
                query={key: values[0] for key, values in parse_qs(parts.query).items()},
                headers={key.lower(): value for key, value in self.headers.items()},
                body=json.loads(body) if body else None,
            )
            wire.asked.append(asked)
            status, answer = wire.respond(asked)
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if answer[:1] in b"{[" else "text/plain")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _answer

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    wire.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield wire
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def closed_port() -> str:
    """The URL of a port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def kube_status(code: int, message: str, *, name: str | None = None) -> dict[str, Any]:
    """The Status object with which the Kubernetes API refuses; ``name`` is that of the object it is about."""
    details = {"name": name} if name else {}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "details": details,
        "code": code,
    }


def write_pulumi(folder: Path, code: str = "", *, version: str = "v3.250.0") -> Path:
    """A program ``pulumi`` that answers ``version``, writes down how it was called, and otherwise does ``code``.

    ``code`` is Python, with ``arguments`` at hand; the calls stand in ``calls.jsonl`` beside the program.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "pulumi"
    program.write_text(
        f"#!{sys.executable} -IS\n"
        "import json, os, pathlib, signal, subprocess, sys\n"
        "arguments = [one for one in sys.argv[1:] if one != '--non-interactive']\n"
        f"if arguments == ['version']:\n    print({version!r})\n    sys.exit(0)\n"
        f"with open({str(folder / 'calls.jsonl')!r}, 'a') as file:\n"
        "    file.write(json.dumps({'arguments': arguments, 'variables': dict(os.environ)}) + '\\n')\n" + code
    )
    program.chmod(0o755)
    return program


def calls_of(program: Path) -> list[dict[str, Any]]:
    """How the ``pulumi`` double was called so far."""
    return [json.loads(line) for line in (program.parent / "calls.jsonl").read_text().splitlines()]


def write_kubeconfig(path: Path, contexts: dict[str, str], *, current: str | None = None) -> Path:
    """A kubeconfig whose ``contexts`` map a name to the URL of its API server; the user's token is the name."""
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url}} for name, url in contexts.items()],
        "users": [{"name": name, "user": {"token": f"token-of-{name}"}} for name in contexts],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in contexts],
    }
    if current:
        document["current-context"] = current
    path.write_text(yaml.safe_dump(document))
    return path


class RecordsDouble(RecordStore):
    """The record of an environment, in memory; ``away`` is what reaching for it fails with."""

    def __init__(self) -> None:
        self.name = "postgres-dr-prod"
        self.record: Record | None = None
        self.away: AccessError | None = None

    def read(self) -> Record | None:
        if self.away:
            raise self.away
        return self.record

    def change(self, change: Callable[[Record], Record], *, now: datetime) -> Record:
        before = self.read() or Record(updated=now, updated_by="ann@ops-1")
        self.record = change(before).model_copy(update={"updated": now})
        return self.record
