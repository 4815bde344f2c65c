"""The lab's API: small, but real. `/health` answers 200 only while its database answers a query on `users`.

Runs in the PostgreSQL image, from a ConfigMap, with libpq's own environment variables (`PGHOST`, ...).

    GET  /health   200 {"users": <count>}, or 503 {"error": <why>}
    POST /users    201 {"id": <id>, "committed_at": <RFC 3339>}, sent after the commit was acknowledged; or 503
"""

from __future__ import annotations

import json
import os
import signal
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg2  # type: ignore[import-untyped]

PORT = 8080

INSERT = """
INSERT INTO users (email, name, location)
VALUES (%s, 'New user', ST_SetSRID(ST_MakePoint(139.7, 35.7), 4326)) RETURNING id
"""
# The commit's own time, which is what a recovery target is compared with; the server's clock where it is not tracked.
COMMITTED_AT = """
SELECT CASE current_setting('track_commit_timestamp')
       WHEN 'on' THEN pg_xact_commit_timestamp(xmin) ELSE clock_timestamp() END
FROM users WHERE id = %s
"""


def count_users() -> dict[str, Any]:
    """How many users there are. A connection of its own each time: it follows DNS, as nothing is held on to."""
    connection = psycopg2.connect("")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM users")
            (users,) = cursor.fetchone() or (None,)
            return {"users": users}
    finally:
        connection.close()


def add_user() -> dict[str, Any]:
    """Insert a user; return only when the server has acknowledged the commit."""
    connection = psycopg2.connect("")
    try:
        with connection.cursor() as cursor:
            cursor.execute(INSERT, (f"{uuid.uuid4()}@example.org",))
            (number,) = cursor.fetchone() or (None,)
            connection.commit()
            cursor.execute(COMMITTED_AT, (number,))
            (committed_at,) = cursor.fetchone() or (None,)
            return {"id": number, "committed_at": committed_at.isoformat() if committed_at else None}
    finally:
        connection.close()


class Handler(BaseHTTPRequestHandler):
    """Routes two requests; everything else is 404."""

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer_from(count_users, 200)
        else:
            self._answer(404, {"error": "not found"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/users":
            self._answer_from(add_user, 201)
        else:
            self._answer(404, {"error": "not found"})

    def _answer_from(self, work: Any, status: int) -> None:
        try:
            answer = work()
        except psycopg2.Error as error:
            self._answer(503, {"error": str(error).strip()})
        else:
            self._answer(status, answer)

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps({**content, "pod": os.environ.get("POD", "")}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    # As process 1 of a container, Python would ignore the signal.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()
