"""A part that fails on purpose fails as the real one would, and is back afterwards."""

from __future__ import annotations

import httpx
import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from lab import faults
from tests.waiting import HANG_SECONDS

ANYWHERE = ("127.0.0.1", 0)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_everything_is_answered_with_503(method: str) -> None:
    with faults.refusing(ANYWHERE) as (host, port):
        content = b"x" * 100_000 if method in {"POST", "PUT", "PATCH"} else None
        url = f"http://{host}:{port}/storage/v1/b"
        answer = httpx.request(method, url, content=content, timeout=HANG_SECONDS, trust_env=False)
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE


def test_googles_own_client_understands_it() -> None:
    with faults.refusing(ANYWHERE) as (host, port):
        anyone = AnonymousCredentials()  # type: ignore[no-untyped-call]
        endpoint = {"api_endpoint": f"http://{host}:{port}"}
        client = storage.Client(project="any", credentials=anyone, client_options=endpoint)
        with pytest.raises(ServiceUnavailable, match="currently unavailable"):
            client.get_bucket("any", retry=None)


def test_nothing_listens_afterwards() -> None:
    with faults.refusing(ANYWHERE) as (host, port):
        pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{host}:{port}/", timeout=HANG_SECONDS, trust_env=False)
