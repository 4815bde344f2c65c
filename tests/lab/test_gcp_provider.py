"""The double of Google's provider, asked as the engine asks: what is made, found, changed and refused."""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab.gcp import errors, faults, resource_types, rest
from lab.gcp.backend import RecordOnlyBackend
from lab.gcp.cloud import Cloud
from lab.gcp.kinds import Kind
from tests.support.google import (
    ACCOUNT,
    BUCKET,
    CLUSTER,
    EMAIL,
    NETWORK,
    PROJECT,
    REGION,
    SUBNETWORK,
    Google,
    RefusedError,
    serving_google,
)
from tests.support.waiting import HANG_SECONDS, wait_for

ROLE = "roles/storage.objectAdmin"
MEMBER = f"serviceAccount:{EMAIL}"
POOL = f"{PROJECT}.svc.id.goog"
BINDING = {
    "serviceAccountId": f"projects/{PROJECT}/serviceAccounts/{EMAIL}",
    "role": "roles/iam.workloadIdentityUser",
    "member": f"serviceAccount:{POOL}[data/postgres-prod]",
}


def _diffs(google: Google, kind: Kind, known: Any, inputs: dict[str, Any]) -> dict[str, int]:
    return {path: found.kind for path, found in google.engine.diff(kind, known, inputs).detailedDiff.items()}


def test_what_was_made_is_found_and_needs_no_change(google: Google) -> None:
    made = google.engine.create(resource_types.BUCKET, BUCKET)
    found = google.engine.read(resource_types.BUCKET, made.id, made)
    assert found == made
    assert made.properties["url"] == "gs://acme-backups"
    assert _diffs(google, resource_types.BUCKET, made, BUCKET) == {}


def test_what_is_not_there_is_gone(google: Google) -> None:
    assert google.engine.read(resource_types.BUCKET, "acme-backups") is None


def test_names_are_checked(google: Google) -> None:
    assert google.engine.check(resource_types.BUCKET, {**BUCKET, "name": "Backups"})[0].startswith("name:")
    assert google.engine.check(resource_types.ACCOUNT, {"accountId": "db"})[0].startswith("accountId:")


def test_what_has_no_name_is_given_one(google: Google) -> None:
    made = google.engine.create(resource_types.NETWORK, {"autoCreateSubnetworks": False})
    assert re.fullmatch(r"thing-[0-9a-f]{7}", made.properties["name"])


@pytest.mark.parametrize(
    "given",
    [f"projects/{PROJECT}/regions/{REGION}/subnetworks/acme", f"{PROJECT}/{REGION}/acme", f"{REGION}/acme", "acme"],
)
def test_an_import_takes_every_form_of_an_id(google: Google, given: str) -> None:
    google.engine.create(resource_types.NETWORK, NETWORK)
    made = google.engine.create(resource_types.SUBNETWORK, SUBNETWORK)
    found = google.engine.read(resource_types.SUBNETWORK, given)
    assert found is not None
    assert found.id == made.id


def test_an_import_by_a_wrong_id_is_refused(google: Google) -> None:
    with pytest.raises(RefusedError, match="accepted formats"):
        google.engine.read(resource_types.CLUSTER, "a/b/c/d/e/f/g")


def test_a_binding_is_imported_by_its_three_words(google: Google) -> None:
    google.with_account()
    google.with_cluster()
    made = google.engine.create(resource_types.ACCOUNT_MEMBER, BINDING)
    found = google.engine.read(resource_types.ACCOUNT_MEMBER, " ".join(BINDING.values()))
    assert found is not None
    assert found.id == made.id
    assert _diffs(google, resource_types.ACCOUNT_MEMBER, found, BINDING) == {}


def test_an_import_of_the_same_needs_no_change(google: Google) -> None:
    made = google.with_cluster()
    found = google.engine.read(resource_types.CLUSTER, made.id)
    assert found is not None
    wanted = {name: value for name, value in CLUSTER.items() if name not in resource_types.CLUSTER.by_provider}
    assert _diffs(google, resource_types.CLUSTER, found, wanted) == {}


def test_what_google_knows_nothing_of_differs_after_an_import(google: Google) -> None:
    google.engine.create(resource_types.BUCKET, {**BUCKET, "deletionPolicy": "PREVENT"})
    found = google.engine.read(resource_types.BUCKET, "acme-backups")
    assert found is not None
    assert list(_diffs(google, resource_types.BUCKET, found, {**BUCKET, "deletionPolicy": "PREVENT"})) == [
        "deletionPolicy"
    ]


def test_a_lifecycle_that_somebody_changed_differs(google: Google) -> None:
    made = google.engine.create(resource_types.BUCKET, BUCKET)
    with google.cloud.change() as contents:
        contents.of(resource_types.BUCKET.token)[made.id]["lifecycleRules"][0]["condition"]["age"] = 1
    found = google.engine.read(resource_types.BUCKET, made.id, made)
    assert found is not None
    assert list(_diffs(google, resource_types.BUCKET, found, BUCKET)) == ["lifecycleRules[0].condition.age"]


@pytest.mark.parametrize(
    ("kind", "made", "change", "replaces"),
    [
        (resource_types.BUCKET, BUCKET, {"name": "acme-other"}, ["name"]),
        (resource_types.BUCKET, BUCKET, {"location": "europe-west1"}, ["location"]),
        (resource_types.BUCKET, BUCKET, {"location": REGION.upper()}, []),
        (resource_types.BUCKET, BUCKET, {"storageClass": "NEARLINE"}, []),
        (resource_types.ACCOUNT, ACCOUNT, {"accountId": "db-other"}, ["accountId"]),
        (resource_types.NETWORK, NETWORK, {"autoCreateSubnetworks": True}, ["autoCreateSubnetworks"]),
    ],
)
def test_what_cannot_change_is_replaced(
    google: Google, kind: Kind, made: dict[str, Any], change: dict[str, Any], replaces: list[str]
) -> None:
    known = google.engine.create(kind, made)
    assert list(google.engine.diff(kind, known, {**made, **change}).replaces) == replaces


def test_an_update_keeps_what_google_decided(google: Google) -> None:
    made = google.with_cluster()
    changed = google.engine.update(resource_types.CLUSTER, made, {**CLUSTER, "resourceLabels": {"team": "db"}})
    assert changed.properties["endpoint"] == made.properties["endpoint"]
    config = changed.properties["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]
    assert config["endpoint"].endswith(".gke.goog")
    assert changed.properties["resourceLabels"] == {"team": "db"}


def test_a_second_of_the_same_name_is_refused(google: Google) -> None:
    google.engine.create(resource_types.BUCKET, BUCKET)
    with pytest.raises(RefusedError, match=r"Error 409: .*you already own it"):
        google.engine.create(resource_types.BUCKET, BUCKET)
    google.with_account()
    with pytest.raises(RefusedError, match=r"Error 409: .*already exists"):
        google.with_account()


def test_the_name_of_a_strangers_bucket_is_refused(google: Google) -> None:
    with google.cloud.change() as contents:
        contents.elsewhere.append("acme-backups")
    with pytest.raises(RefusedError, match="not available"):
        google.engine.create(resource_types.BUCKET, BUCKET)


def test_a_bucket_with_something_in_it_stays(google: Google) -> None:
    made = google.engine.create(resource_types.BUCKET, BUCKET)
    with google.cloud.change() as contents:
        contents.content["acme-backups"] = 1
    with pytest.raises(RefusedError, match="containing objects without `force_destroy`"):
        google.engine.delete(resource_types.BUCKET, made)
    assert made.id in google.contents.of(resource_types.BUCKET.token)


def test_only_by_force_does_it_go(google: Google) -> None:
    made = google.engine.create(resource_types.BUCKET, {**BUCKET, "forceDestroy": True})
    with google.cloud.change() as contents:
        contents.content["acme-backups"] = 1
    google.engine.delete(resource_types.BUCKET, made)
    assert google.contents.content == {}
    assert google.contents.of(resource_types.BUCKET.token) == {}


@pytest.mark.parametrize(("policy", "stays"), [("PREVENT", True), ("ABANDON", True), ("DELETE", False)])
def test_the_deletion_policy_decides(google: Google, policy: str, stays: bool) -> None:
    made = google.engine.create(resource_types.NETWORK, {**NETWORK, "deletionPolicy": policy})
    if policy == "PREVENT":
        with pytest.raises(RefusedError, match="deletion_policy"):
            google.engine.delete(resource_types.NETWORK, made)
    else:
        google.engine.delete(resource_types.NETWORK, made)
    assert (made.id in google.contents.of(resource_types.NETWORK.token)) == stays


def test_a_cluster_is_protected_unless_told_otherwise(google: Google) -> None:
    google.engine.create(resource_types.NETWORK, NETWORK)
    google.engine.create(resource_types.SUBNETWORK, SUBNETWORK)
    silent = {name: value for name, value in CLUSTER.items() if name != "deletionProtection"}
    made = google.engine.create(resource_types.CLUSTER, silent)
    with pytest.raises(RefusedError, match="deletion_protection is set to true"):
        google.engine.delete(resource_types.CLUSTER, made)


def test_with_a_cluster_its_pools_go(google: Google) -> None:
    made = google.with_cluster()
    google.engine.create(resource_types.NODE_POOL, {"name": "spot", "cluster": made.id})
    google.engine.delete(resource_types.CLUSTER, made)
    assert google.contents.of(resource_types.NODE_POOL.token) == {}


def test_a_pool_needs_its_cluster(google: Google) -> None:
    with pytest.raises(RefusedError, match="Error 404"):
        google.engine.create(resource_types.NODE_POOL, {"name": "spot", "cluster": "acme", "location": REGION})


def test_what_is_in_use_stays(google: Google) -> None:
    made = google.engine.create(resource_types.NETWORK, NETWORK)
    google.engine.create(resource_types.SUBNETWORK, SUBNETWORK)
    with pytest.raises(RefusedError, match="resourceInUseByAnotherResource"):
        google.engine.delete(resource_types.NETWORK, made)


def test_ranges_do_not_overlap(google: Google) -> None:
    google.engine.create(resource_types.NETWORK, NETWORK)
    google.engine.create(resource_types.SUBNETWORK, SUBNETWORK)
    other = {"name": "other", "network": "acme", "region": REGION, "ipCidrRange": "10.4.1.0/24"}
    with pytest.raises(RefusedError, match="conflicts with existing subnetwork 'acme'"):
        google.engine.create(resource_types.SUBNETWORK, other)


def test_a_cluster_needs_the_ranges_that_it_names(google: Google) -> None:
    google.engine.create(resource_types.NETWORK, NETWORK)
    google.engine.create(resource_types.SUBNETWORK, {**SUBNETWORK, "secondaryIpRanges": []})
    with pytest.raises(RefusedError, match='secondary range "pods" does not exist'):
        google.engine.create(resource_types.CLUSTER, CLUSTER)


def test_nothing_is_granted_to_an_account_that_is_not_there(google: Google) -> None:
    google.engine.create(resource_types.BUCKET, BUCKET)
    grant = {"bucket": "acme-backups", "role": ROLE, "member": MEMBER}
    with pytest.raises(RefusedError, match=f"Service account {EMAIL} does not exist"):
        google.engine.create(resource_types.BUCKET_MEMBER, grant)


def test_to_grant_twice_is_no_error(google: Google) -> None:
    google.with_account()
    google.engine.create(resource_types.BUCKET, BUCKET)
    grant = {"bucket": "acme-backups", "role": ROLE, "member": MEMBER}
    made = google.engine.create(resource_types.BUCKET_MEMBER, grant)
    assert google.engine.create(resource_types.BUCKET_MEMBER, grant).id == made.id


def test_what_was_granted_to_an_account_is_lost_with_it(google: Google) -> None:
    account = google.with_account()
    google.engine.create(resource_types.BUCKET, BUCKET)
    made = google.engine.create(
        resource_types.BUCKET_MEMBER, {"bucket": "acme-backups", "role": ROLE, "member": MEMBER}
    )
    google.engine.delete(resource_types.ACCOUNT, account)
    again = google.with_account()
    assert google.engine.read(resource_types.BUCKET_MEMBER, made.id, made) is None
    assert again.properties["uniqueId"] != account.properties["uniqueId"]


def test_an_identity_pool_comes_with_the_first_cluster_and_stays(google: Google) -> None:
    google.with_account()
    with pytest.raises(RefusedError, match="Identity Pool does not exist"):
        google.engine.create(resource_types.ACCOUNT_MEMBER, BINDING)
    google.engine.delete(resource_types.CLUSTER, google.with_cluster())
    assert google.engine.create(resource_types.ACCOUNT_MEMBER, BINDING).id.endswith("[data/postgres-prod]")


def test_a_quota_ends_it(google: Google) -> None:
    with google.cloud.change() as contents:
        contents.quotas["NETWORKS"] = 1
    google.engine.create(resource_types.NETWORK, NETWORK)
    with pytest.raises(RefusedError, match=r"Quota 'NETWORKS' exceeded.  Limit: 1.0 globally., quotaExceeded"):
        google.engine.create(resource_types.NETWORK, {**NETWORK, "name": "other"})


def test_an_api_that_is_not_enabled_refuses_all(google: Google) -> None:
    with google.cloud.change() as contents:
        contents.disabled.append("container.googleapis.com")
    with pytest.raises(RefusedError, match=r"has not been used in project .* before or it is disabled"):
        google.with_cluster()


def test_without_permission_nothing_is_done(google: Google) -> None:
    with google.cloud.change() as contents:
        contents.denied.append("compute.networks.create")
    with pytest.raises(RefusedError, match=r"Error 403: Permission 'compute.networks.create' denied"):
        google.engine.create(resource_types.NETWORK, NETWORK)


@pytest.mark.parametrize("answer", faults.ANSWERS)
def test_a_fault_is_answered_as_often_as_was_said(google: Google, answer: str) -> None:
    with google.cloud.change() as contents:
        faults.inject(contents, faults.Fault(answer=answer, on="*Account", operation="create", times=2))
    for _ in range(2):
        with pytest.raises(RefusedError, match=r"googleapi: Error \d\d\d"):
            google.with_account()
    assert google.with_account().id.endswith(EMAIL)


def test_an_unknown_fault_is_none(google: Google) -> None:
    with google.cloud.change() as contents, pytest.raises(KeyError):
        faults.inject(contents, faults.Fault(answer="weather"))


def test_what_is_asked_of_google_is_kept(google: Google) -> None:
    google.engine.delete(resource_types.NETWORK, google.engine.create(resource_types.NETWORK, NETWORK))
    key = f"{resource_types.NETWORK.token} projects/{PROJECT}/global/networks/acme"
    assert google.contents.calls == [f"create {key}", f"delete {key}"]


def test_an_error_speaks_as_googles_library_does() -> None:
    assert str(errors.unavailable()) == "googleapi: Error 503: The service is currently unavailable., backendError"


class Slow(RecordOnlyBackend):
    """A ground on which a cluster takes its time, and may not come up at all."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.may_come_up = threading.Event()
        self.fails = False

    def make_cluster(self, properties: dict[str, Any]) -> dict[str, Any]:
        assert self.may_come_up.wait(HANG_SECONDS)
        if self.fails:
            raise errors.GoogleError(500, "Internal error encountered.", "internalError")
        return super().make_cluster(properties)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[Google, Slow]]:
    backend = Slow(Cloud(tmp_path / "slow.json", PROJECT))
    with serving_google(tmp_path / "slow.json", backend) as found:
        yield found, backend


def test_a_cluster_that_is_being_made_is_there_and_waited_for(slow: tuple[Google, Slow]) -> None:
    """As when the engine that asked for it was killed meanwhile, and the next one imports it."""
    google, backend = slow
    with ThreadPoolExecutor() as pool:
        made = pool.submit(google.with_cluster)
        wait_for(lambda: google.contents.of(resource_types.CLUSTER.token))
        (key,) = google.contents.of(resource_types.CLUSTER.token)
        (shown,) = rest.answer(google.double.google, f"container/v1/projects/{PROJECT}/locations/-/clusters", {})[
            "clusters"
        ]
        assert (shown["status"], "endpoint" in shown) == ("PROVISIONING", False)
        found = pool.submit(google.engine.read, resource_types.CLUSTER, key)
        time.sleep(0.3)
        assert not found.done()
        backend.may_come_up.set()
        imported = found.result(HANG_SECONDS)
        assert imported is not None
        assert imported.properties["endpoint"] == made.result(HANG_SECONDS).properties["endpoint"]


def test_a_cluster_that_does_not_come_up_is_not_there(slow: tuple[Google, Slow]) -> None:
    google, backend = slow
    backend.fails = True
    backend.may_come_up.set()
    with pytest.raises(RefusedError, match="Error 500"):
        google.with_cluster()
    assert google.contents.of(resource_types.CLUSTER.token) == {}
