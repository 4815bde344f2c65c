"""Doubles that stand at the wire: an HTTP server on 127.0.0.1 that plays the Kubernetes API or the object store."""

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, RLock
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml

from dr.core.errors import AccessError
from dr.kube.pod_exec import PodExec, Ran
from dr.run.record import Record
from dr.run.stores import RecordStore
from tests.support.builders import config_document

T = TypeVar("T", bound="Wire")
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
"""Where a user asks what it may do: nothing is changed by it."""


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
        """Answer ``path`` with ``body``: JSON, or bytes as they are. An object of the Kubernetes API has metadata."""
        if path.startswith(("/api/", "/apis/")) and isinstance(body, dict) and not {"items", "kind"} & body.keys():
            body = {"metadata": {}, **body}
        self.answers[method, path] = (status, body if isinstance(body, bytes) else json.dumps(body).encode())

    def respond(self, asked: Asked) -> tuple[int, bytes]:
        """The answer to a request."""
        missing = (200, b'{"items": []}') if _asks_for_a_list(asked) else (404, b"404 page not found\n")
        if asked.path == REVIEWS:
            missing = (201, b'{"spec": {}, "status": {"allowed": true}}')
        return self.answers.get((asked.method, asked.path), missing)

    def received(self, method: str) -> list[Asked]:
        """The requests of one method, in order."""
        return [asked for asked in self.asked if asked.method == method]


def _asks_for_a_list(asked: Asked) -> bool:
    """Whether a list is asked for that every API server has, and that is empty unless a test says otherwise."""
    wanted = r"/apis/(batch/v1/namespaces/[^/]+/[^/]+|autoscaling/v2/.*s|postgresql.cnpg.io/v1/.*/poolers)"
    return asked.method == "GET" and re.fullmatch(wanted, asked.path) is not None


@dataclass(kw_only=True)
class ObjectStoreDouble(Wire):
    """The parts of the Cloud Storage JSON API that reading needs: list with a delimiter, stat, and download."""

    bucket: str
    objects: dict[str, bytes] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)
    """When an object was made, where a test wants it told."""
    sizes: dict[str, int] = field(default_factory=dict)
    """How large an object is said to be, where a test does not put all of it there."""
    page: int = 1000
    """How many objects a page of a listing has; Cloud Storage's own limit."""

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
        size = str(self.sizes.get(name, len(self.objects[name])))
        made = {"timeCreated": self.times[name]} if name in self.times else {}
        return {"kind": "storage#object", "name": name, "bucket": self.bucket, "size": size, "generation": "1", **made}

    def _listing(self, query: dict[str, str]) -> dict[str, Any]:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        items: list[dict[str, str]] = []
        prefixes: set[str] = set()
        for name in sorted(self.objects):
            if name.startswith(prefix):
                head, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
                if cut:
                    prefixes.add(f"{prefix}{head}{cut}")
                else:
                    items.append(self._stat(name))
        first = int(query.get("pageToken", "0"))
        more = {"nextPageToken": str(first + self.page)} if len(items) > first + self.page else {}
        return {
            "kind": "storage#objects",
            "items": items[first : first + self.page],
            "prefixes": sorted(prefixes),
            **more,
        }


@dataclass(kw_only=True)
class KubernetesDouble(Wire):
    """Keeps the objects that are written to it, by their path, and refuses to replace a version that is not the newest.

    ``meanwhile`` is what others do just before the next writes arrive.
    """

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    meanwhile: list[Callable[[], None]] = field(default_factory=list)
    _versions: int = 0
    _lock: RLock = field(default_factory=RLock, repr=False)

    def keep(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Store an object as the newest version of ``path``."""
        with self._lock:
            self._versions += 1
            kept = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self._versions)}}
            self.objects[path] = kept
            return kept

    def respond(self, asked: Asked) -> tuple[int, bytes]:
        """Read, create or replace."""
        if (asked.method, asked.path) in self.answers or self._nothing_kept(asked):
            return super().respond(asked)
        if asked.method in {"POST", "PUT"} and self.meanwhile:
            self.meanwhile.pop(0)()
        with self._lock:
            status, body = self._answer(asked)
        return status, json.dumps(body).encode()

    def _nothing_kept(self, asked: Asked) -> bool:
        return _asks_for_a_list(asked) and not any(path.startswith(f"{asked.path}/") for path in self.objects)

    def _answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        if _asks_for_a_list(asked):
            return 200, {"items": [kept for path, kept in self.objects.items() if path.startswith(f"{asked.path}/")]}
        created = asked.method == "POST"
        path = f"{asked.path}/{asked.body['metadata']['name']}" if created else asked.path
        name, there = path.rsplit("/", 1)[1], self.objects.get(path)
        if there is None and not created:
            return 404, kube_status(404, "not found", name=name)
        if asked.method == "GET":
            return 200, there or {}
        if there and (created or asked.body["metadata"]["resourceVersion"] != there["metadata"]["resourceVersion"]):
            return 409, kube_status(409, "the object has been modified", name=name)
        return 200, self.keep(path, asked.body)


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
            if answer == b"{}" and parts.path.startswith(("/api/", "/apis/")):
                # No API server answers with nothing: of what was done it sends the object, or this.
                answer = b'{"kind": "Status", "apiVersion": "v1", "metadata": {}}'
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


def a_dead_process() -> int:
    """The id of a process of this machine that has ended."""
    with subprocess.Popen([sys.executable, "-ISc", ""]) as process:
        process.wait()
    return process.pid


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


LAST_EVENT: dict[str, Any] = {"sequence": 0, "timestamp": 1, "cancelEvent": {}}
"""The event that Pulumi's log of events ends with; without it the Automation API waits five seconds for more."""


EMPTY_STATE = 'if arguments[:2] == ["stack", "export"]:\n    print(json.dumps({"version": 3, "deployment": {}}))\n'
"""What a ``pulumi`` double does that holds nothing."""


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


def write_environment(folder: Path, kubeconfig: Path, **changes: Any) -> Path:
    """The configuration of the environment ``prod``, which reaches its cluster by ``kubeconfig``; ``changes`` are
    :func:`config_document`'s.
    """
    document = config_document(kubernetes={"context": "acme-prod", "kubeconfig": str(kubeconfig)}, **changes)
    path = folder / "Pulumi.prod.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def nothing_changed(wire: Wire) -> bool:
    """Whether ``wire`` was only looked at."""
    return all(
        asked.method == "GET" or asked.query.get("dryRun") == "All" or asked.path == REVIEWS for asked in wire.asked
    )


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


class Impatient(Event):
    """An event for which waiting takes no time: ``meanwhile`` happens at once, given how often was waited before."""

    def __init__(self, meanwhile: Callable[[int], None] = lambda _: None) -> None:
        super().__init__()
        self.waited: list[float | None] = []
        self._meanwhile = meanwhile

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout)
        self._meanwhile(len(self.waited) - 1)
        return self.is_set()


@dataclass(frozen=True, kw_only=True)
class RanInPod:
    """A program as it was run in a pod."""

    pod: str
    command: list[str]
    standard_input: Any
    """Text or bytes."""


def in_pods(monkeypatch: pytest.MonkeyPatch, answer: Callable[[RanInPod], Ran | AccessError]) -> list[RanInPod]:
    """Let ``answer`` stand in for every program in a pod. Returns those that ran, as they come."""
    ran: list[RanInPod] = []

    def run(
        self: PodExec,
        command: Sequence[str],
        *,
        what: str,
        limit: float,
        stop: Event | None = None,
        standard_input: str | bytes = "",
    ) -> Ran:
        ran.append(RanInPod(pod=self._pod, command=list(command), standard_input=standard_input))
        found = answer(ran[-1])
        if isinstance(found, AccessError):
            raise found
        return found

    monkeypatch.setattr(PodExec, "run", run)
    return ran


def said(output: str = "", *, code: int = 0, errors: str = "") -> Ran:
    """What a program said."""
    return Ran(output=output, errors=errors, code=code)
