"""An Azure Blob Storage to read backups from: the parts of its protocol that reading and the copies need."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_MADE = "Mon, 20 Apr 2026 00:00:00 GMT"
KEY = "c2VjcmV0"
"""An account's key, as Azure gives them: base64."""


@dataclass(kw_only=True)
class AzureDouble:
    """The container ``backups`` of the account ``acme``; ``refuses`` is a status and a code to answer all with."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    refuses: tuple[int, str] | None = None
    page: int = 3
    asked: list[str] = field(default_factory=list)

    @property
    def destination(self) -> str:
        """The ``destinationPath`` of ``prod`` in it."""
        return f"{self.url}/acme/backups/prod"

    def listing(self, query: dict[str, str]) -> bytes:
        """A page of the answer to List Blobs (its reference has the elements)."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        found: dict[str, str] = {}
        for name, content in sorted(self.objects.items()):
            if not name.startswith(prefix):
                continue
            head, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
            properties = (
                f"<Properties><Creation-Time>{_MADE}</Creation-Time><Last-Modified>{_MADE}</Last-Modified><Etag>1</Etag>"
                f"<Content-Length>{len(content)}</Content-Length><BlobType>BlockBlob</BlobType></Properties>"
            )
            if cut:
                folder = escape(f"{prefix}{head}{cut}")
                found[folder] = f"<BlobPrefix><Name>{folder}</Name></BlobPrefix>"
            else:
                found[name] = f"<Blob><Name>{escape(name)}</Name>{properties}</Blob>"
        first = int(query.get("marker") or 0)
        marker = str(first + self.page) if len(found) > first + self.page else ""
        blobs = "".join(list(found.values())[first : first + self.page])
        return (
            '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="x" ContainerName="backups">'
            f"<Blobs>{blobs}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
        ).encode()


@contextmanager
def azure() -> Iterator[AzureDouble]:
    """The double, while it serves."""
    double = AzureDouble()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            double.asked.append(parts.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            name = unquote(parts.path).removeprefix("/acme/backups").removeprefix("/")
            if double.refuses:
                self._refuse(*double.refuses)
            elif not name:
                self._send(200, double.listing(query), {"Content-Type": "application/xml"})
            elif name not in double.objects:
                self._refuse(404, "BlobNotFound")
            else:
                self._part(double.objects[name])

        def _part(self, whole: bytes) -> None:
            first, _, last = self.headers["x-ms-range"].removeprefix("bytes=").partition("-")
            part = whole[int(first) : int(last) + 1]
            span = f"bytes {first}-{int(first) + len(part) - 1}/{len(whole)}"
            self._send(206, part, {"Content-Range": span, "x-ms-blob-type": "BlockBlob", "ETag": "1"})

        def do_PUT(self) -> None:
            name = unquote(urlsplit(self.path).path).removeprefix("/acme/backups/")
            double.objects[name] = self.rfile.read(int(self.headers["Content-Length"]))
            self._send(201, b"", {"ETag": "1"})

        def _refuse(self, status: int, code: str) -> None:
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
            self._send(status, body, {"x-ms-error-code": code, "Content-Type": "application/xml"})

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {"Last-Modified": _MADE, "Content-Length": str(len(body)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    double.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield double
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
