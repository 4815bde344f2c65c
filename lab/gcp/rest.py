"""Google's REST APIs as far as `dr` reads them, its metadata server, and files: one HTTP server on one port.

Each API lies below a path of its own, as one port has one name; the variables that tell the Google provider of other
endpoints (`addresses`) lead there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from lab.gcp import errors, resource_types, views
from lab.gcp.cloud import Contents, Values
from lab.gcp.errors import GoogleError
from lab.gcp.google import Google
from lab.gcp.kinds import Kind

METADATA = "/computeMetadata/v1/"
CHARTS = "/charts/"
TOKEN_SECONDS = 3600

View = Callable[[Contents, Values], Any]
_COLLECTIONS: tuple[tuple[str, Kind, str, View], ...] = (
    ("storage/v1/b", resource_types.BUCKET, "items", lambda _, found: views.bucket(found)),
    ("iam/v1/projects/P/serviceAccounts", resource_types.ACCOUNT, "accounts", lambda _, found: views.account(found)),
    ("compute/v1/projects/P/global/networks", resource_types.NETWORK, "items", lambda _, found: views.network(found)),
    (
        "compute/v1/projects/P/regions/R/subnetworks",
        resource_types.SUBNETWORK,
        "items",
        lambda _, x: views.subnetwork(x),
    ),
    ("compute/v1/projects/P/regions/R/routers", resource_types.ROUTER, "items", views.router),
    ("container/v1/projects/P/locations/R/clusters", resource_types.CLUSTER, "clusters", lambda _, x: views.cluster(x)),
    (
        "container/v1/projects/P/locations/R/clusters/C/nodePools",
        resource_types.NODE_POOL,
        "nodePools",
        lambda _, found: views.node_pool(found),
    ),
)
"""Path of a collection -> type, the list's name in an answer, and how one of them is shown."""
_POLICIES = (
    (r"storage/v1/b/(?P<bucket>[^/]+)/iam", resource_types.BUCKET_MEMBER),
    (
        r"iam/v1/(?P<serviceAccountId>projects/[^/]+/serviceAccounts/[^/:]+):getIamPolicy",
        resource_types.ACCOUNT_MEMBER,
    ),
    (r"cloudresourcemanager/v1/projects/(?P<project>[^/:]+):getIamPolicy", resource_types.PROJECT_MEMBER),
)


def answer(google: Google, path: str, query: dict[str, str]) -> Any:
    """What an API answers to a read.

    Raises:
        GoogleError: it refuses, or there is no such thing.
    """
    for pattern, kind in _POLICIES:
        if (match := re.fullmatch(pattern, path)) is not None:
            return _policy(google, kind, match.groupdict())
    for collection, kind, name, view in _COLLECTIONS:
        pattern = re.sub(r"/([PRC])(?=/)", r"/(?P<\1>[^/]+)", collection)
        match = re.fullmatch(rf"{pattern}(?:/(?P<NAME>[^/]+))?", path)
        if match is not None:
            return _collection(google, (kind, name, view), match.groupdict(), query)
    raise errors.not_found(path)


def _collection(
    google: Google, shown: tuple[Kind, str, View], parts: dict[str, str], query: dict[str, str]
) -> dict[str, Any]:
    kind, name, view = shown
    google.call(kind, "read", parts.get("NAME") or name)
    contents = google.cloud.read()
    there = {key: found for key, found in contents.of(kind.token).items() if _is_below(kind, found, parts)}
    wanted = parts.get("NAME")
    if wanted is None:
        prefix = query.get("prefix", "")
        items = [view(contents, found) for found in there.values() if str(found.get("name", "")).startswith(prefix)]
        return {name: items} if items else {}
    for found in there.values():
        if wanted in (found.get("email"), found.get("name")):
            document: dict[str, Any] = view(contents, found)
            return document
    raise errors.not_found(wanted)


def _is_below(kind: Kind, found: Values, parts: dict[str, str]) -> bool:
    """Whether it is of the project, the place and the cluster that the path names."""
    place = found.get("location") if kind in (resource_types.CLUSTER, resource_types.NODE_POOL) else found.get("region")
    wanted = ((parts.get("P"), found.get("project")), (parts.get("R"), place), (parts.get("C"), found.get("cluster")))
    return all(said in (None, "-", there) for said, there in wanted)


def _policy(google: Google, kind: Kind, of: dict[str, str]) -> Any:
    (name,) = of.values()
    google.call(kind, "read", name)
    contents = google.cloud.read()
    owner = {
        resource_types.BUCKET_MEMBER.token: resource_types.BUCKET,
        resource_types.ACCOUNT_MEMBER.token: resource_types.ACCOUNT,
    }.get(kind.token)
    if owner is not None and name not in contents.of(owner.token):
        raise errors.not_found(name)
    return views.policy(contents, kind, **of)


def metadata(google: Google, path: str) -> Any:
    """What the metadata server of a machine at Google says: who it runs as, and that account's token."""
    email = f"operator@{google.cloud.project}.iam.gserviceaccount.com"
    account = {"email": email, "aliases": ["default"], "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}
    token = {"access_token": google.backend.token(), "expires_in": TOKEN_SECONDS, "token_type": "Bearer"}
    answers: dict[str, Any] = {
        "": {},
        "project/project-id": google.cloud.project,
        "project/numeric-project-id": str(errors.PROJECT_NUMBER),
        "universe/universe-domain": "googleapis.com",
        "instance/service-accounts/default/": account,
        f"instance/service-accounts/{email}/": account,
        "instance/service-accounts/default/email": email,
        "instance/service-accounts/default/token": token,
        f"instance/service-accounts/{email}/token": token,
    }
    if path not in answers:
        raise errors.not_found(path)
    return answers[path]


def server(address: tuple[str, int], google: Google, charts: Path | None) -> ThreadingHTTPServer:
    """The server, bound and not yet serving. `charts` is the folder of a Helm repository, if there is one."""

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: found[0] for name, found in parse_qs(parts.query).items()}
            try:
                if path.startswith(CHARTS):
                    self._send(200, _file(charts, path.removeprefix(CHARTS)), "application/octet-stream")
                elif path == "/" or path.startswith(METADATA):
                    found = metadata(google, path.removeprefix("/").removeprefix(METADATA.removeprefix("/")))
                    self._send_found(found)
                else:
                    self._send_found(answer(google, path.removeprefix("/"), query))
            except GoogleError as error:
                self._send(error.code, json.dumps(error.document()).encode(), "application/json")

        do_POST = do_GET  # noqa: N815 - http.server's name; the only method of an API that is a read by POST

        def _send_found(self, found: Any) -> None:
            if isinstance(found, str):
                self._send(200, found.encode(), "application/text")
            else:
                self._send(200, json.dumps(found).encode(), "application/json")

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Metadata-Flavor", "Google")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return ThreadingHTTPServer(address, Handler)


def _file(folder: Path | None, name: str) -> bytes:
    if folder is None or "/" in name or not (folder / name).is_file():
        raise errors.not_found(name)
    return (folder / name).read_bytes()
