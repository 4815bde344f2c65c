"""The same cloud over Google's REST APIs, as `dr` reads it, and by Google's own libraries."""

from typing import Any

import httpx
import pytest
from google.auth import default
from google.auth.compute_engine import _metadata
from google.auth.transport.requests import Request

from lab.gcp import faults, resource_types
from lab.gcp.addresses import endpoints
from tests.support.google import ACCOUNT, BUCKET, EMAIL, PROJECT, REGION, Google
from tests.support.waiting import HANG_SECONDS

NOT_FOUND = 404


def _get(google: Google, path: str, method: str = "GET") -> httpx.Response:
    return httpx.request(method, f"{google.url}/{path}", timeout=HANG_SECONDS, trust_env=False)


def _found(google: Google, path: str, method: str = "GET") -> Any:
    return _get(google, path, method).raise_for_status().json()


def test_a_bucket_is_shown_as_the_storage_api_shows_it(google: Google) -> None:
    google.engine.create(resource_types.BUCKET, BUCKET)
    found = _found(google, "storage/v1/b/acme-backups")
    assert found["location"] == REGION.upper()
    assert found["lifecycle"] == {"rule": BUCKET["lifecycleRules"]}
    assert found["iamConfiguration"]["publicAccessPrevention"] == "enforced"
    assert found["softDeletePolicy"]["retentionDurationSeconds"] == "604800"
    listed = _found(google, f"storage/v1/b?project={PROJECT}&prefix=acme")
    assert [item["name"] for item in listed["items"]] == ["acme-backups"]
    assert _found(google, f"storage/v1/b?project={PROJECT}&prefix=other") == {}


def test_what_is_granted_is_shown_as_a_policy(google: Google) -> None:
    google.with_account()
    google.engine.create(resource_types.BUCKET, BUCKET)
    member = f"serviceAccount:{EMAIL}"
    role = "roles/storage.objectAdmin"
    google.engine.create(resource_types.BUCKET_MEMBER, {"bucket": "acme-backups", "role": role, "member": member})
    google.engine.create(resource_types.PROJECT_MEMBER, {"project": PROJECT, "role": "roles/viewer", "member": member})
    assert _found(google, "storage/v1/b/acme-backups/iam")["bindings"] == [{"role": role, "members": [member]}]
    of_project = _found(google, f"cloudresourcemanager/v1/projects/{PROJECT}:getIamPolicy", "POST")
    assert of_project["bindings"] == [{"role": "roles/viewer", "members": [member]}]
    of_account = _found(google, f"iam/v1/projects/{PROJECT}/serviceAccounts/{EMAIL}:getIamPolicy", "POST")
    assert of_account["bindings"] == []


def test_an_account_is_found_by_its_address(google: Google) -> None:
    google.with_account()
    found = _found(google, f"iam/v1/projects/{PROJECT}/serviceAccounts/{EMAIL}")
    assert found["displayName"] == ACCOUNT["displayName"]
    assert _found(google, f"iam/v1/projects/{PROJECT}/serviceAccounts")["accounts"] == [found]


@pytest.mark.parametrize(
    "path",
    [
        f"compute/v1/projects/{PROJECT}/global/networks",
        f"compute/v1/projects/{PROJECT}/regions/{REGION}/subnetworks",
        f"compute/v1/projects/{PROJECT}/regions/{REGION}/routers",
        f"container/v1/projects/{PROJECT}/locations/{REGION}/clusters",
        f"container/v1/projects/{PROJECT}/locations/{REGION}/clusters/acme/nodePools",
    ],
)
def test_what_there_is_is_listed_and_found_by_name(google: Google, path: str) -> None:
    cluster = google.with_cluster()
    google.engine.create(resource_types.ROUTER, {"name": "acme", "network": "acme"})
    google.engine.create(resource_types.NODE_POOL, {"name": "acme", "cluster": cluster.id})
    ((_, listed),) = _found(google, path).items()
    assert listed == [_found(google, f"{path}/acme")]
    assert _get(google, f"{path}/other").status_code == NOT_FOUND


def test_a_router_shows_its_nats(google: Google) -> None:
    google.with_cluster()
    google.engine.create(resource_types.ROUTER, {"name": "acme", "network": "acme"})
    nat = {
        "name": "out",
        "router": "acme",
        "natIpAllocateOption": "AUTO_ONLY",
        "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
    }
    google.engine.create(resource_types.NAT, nat)
    found = _found(google, f"compute/v1/projects/{PROJECT}/regions/{REGION}/routers/acme")
    assert [shown["name"] for shown in found["nats"]] == ["out"]


def test_elsewhere_there_is_nothing(google: Google) -> None:
    google.with_cluster()
    assert _found(google, f"container/v1/projects/{PROJECT}/locations/europe-west1/clusters") == {}
    assert _found(google, f"container/v1/projects/{PROJECT}/locations/-/clusters") != {}
    assert _get(google, "storage/v1/b/acme-backups").status_code == NOT_FOUND
    assert _get(google, "storage/v1/b/acme-backups/iam").status_code == NOT_FOUND
    assert _get(google, "drive/v3/files").status_code == NOT_FOUND


@pytest.mark.parametrize(("answer", "status"), [("unavailable", 503), ("permission", 403), ("api-disabled", 403)])
def test_a_read_goes_wrong_too(google: Google, answer: str, status: int) -> None:
    with google.cloud.change() as contents:
        faults.inject(contents, faults.Fault(answer=answer, on="*Cluster", operation="read", times=1))
    path = f"container/v1/projects/{PROJECT}/locations/{REGION}/clusters"
    refused = _get(google, path)
    assert refused.status_code == status
    assert refused.json()["error"]["code"] == status
    assert _get(google, path).status_code == httpx.codes.OK


def test_googles_own_library_gets_a_token_of_the_metadata_server(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", google.double.address)
    for name, value in endpoints(google.double.address).items():
        monkeypatch.setenv(name, value)
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HOME", "/nowhere")
    credentials, project = default()
    credentials.refresh(Request())  # type: ignore[no-untyped-call]
    assert credentials.token == google.double.google.backend.token()
    assert project == PROJECT
