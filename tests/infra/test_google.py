"""What there is in Google's cloud: seen, proven gone, or neither."""

from typing import Any

import pytest

from dr.infra.google import GoogleApi, endpoint
from dr.stacks.resources import Api, CloudResource, resources_of
from tests.support.doubles import Wire
from tests.support.infra_fixtures import BACKUPS, PROJECT, a_durable, a_platform

NOT_FOUND = {"error": {"code": 404, "message": "Not found"}}
RESOURCES = {resource.name: resource for part in (a_durable(), a_platform()) for resource in resources_of(part)}
CLUSTERS = f"/projects/{PROJECT}/locations/europe-west4/clusters"
NETWORKS = f"/projects/{PROJECT}/global/networks"
ACCOUNT = f"/projects/{PROJECT}/serviceAccounts/{BACKUPS}"
GRANT = {
    "role": "roles/iam.workloadIdentityUser",
    "members": ["user:ann", f"serviceAccount:{PROJECT}.svc.id.goog[data/postgres-prod]"],
}


@pytest.fixture
def google(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """A Google that knows of nothing, and says so as Google does."""
    for api in Api:
        monkeypatch.setenv(f"GOOGLE_{api}_CUSTOM_ENDPOINT", wire.url)
    for resource in RESOURCES.values():
        place: Any = resource.place
        for named in (getattr(place, "of", None), place):
            if named is not None and hasattr(named, "listing"):
                wire.on(f"/{named.path}", NOT_FOUND, status=404)
                wire.on(f"/{named.listing.partition('?')[0]}", {})
    return wire


def _look(name: str) -> bool | None:
    return GoogleApi().look(RESOURCES[name]).there


def _why(name: str) -> str:
    state = GoogleApi().look(RESOURCES[name])
    assert state.there is None
    return state.why


@pytest.mark.parametrize("resource", [RESOURCES[name] for name in ("backup-bucket", "network", "cluster", "pool-spot")])
def test_what_answers_is_there(google: Wire, resource: CloudResource) -> None:
    place: Any = resource.place
    google.on(f"/{place.path}", {"name": place.value})
    assert GoogleApi().look(resource).there is True


@pytest.mark.parametrize("name", ["backup-bucket", "backup-account", "network", "nat", "cluster", "pool-spot"])
def test_what_is_not_found_and_on_no_list_is_gone(google: Wire, name: str) -> None:
    assert _look(name) is False


def test_gone_takes_two_witnesses(google: Wire) -> None:
    google.on(NETWORKS, {"items": [{"name": "another"}, {"name": "acme"}]})
    assert "still on the list" in _why("network")


def test_all_pages_of_a_list_are_read(google: Wire) -> None:
    def respond(asked: Any) -> tuple[int, bytes]:
        if asked.path == NETWORKS and "pageToken" not in asked.query:
            return 200, b'{"items": [], "nextPageToken": "a b"}'
        if asked.path == NETWORKS:
            assert asked.query["pageToken"] == "a b"
            return 200, b'{"items": [{"name": "acme"}]}'
        return 404, b'{"error": {"code": 404, "message": "Not found"}}'

    google.respond = respond  # type: ignore[method-assign]
    assert "still on the list" in _why("network")


@pytest.mark.parametrize("field", ["missingZones", "unreachable"])
def test_a_list_that_a_zone_did_not_answer_for_is_no_witness(google: Wire, field: str) -> None:
    google.on(CLUSTERS, {"clusters": [], field: ["europe-west4-a"]})
    assert "is not complete" in _why("cluster")


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_an_api_that_does_not_answer_well_proves_nothing(google: Wire, status: int) -> None:
    google.on(f"{CLUSTERS}/acme", {"error": {"code": status, "message": "no"}}, status=status)
    assert _why("cluster")
    google.on(f"{CLUSTERS}/acme", NOT_FOUND, status=404)
    google.on(CLUSTERS, {"error": {"code": status, "message": "no"}}, status=status)
    assert _why("cluster")


def test_a_cluster_that_is_being_deleted_is_neither_there_nor_gone(google: Wire) -> None:
    google.on(f"{CLUSTERS}/acme", {"name": "acme", "status": "STOPPING"})
    assert "being deleted" in _why("cluster")
    google.on(f"{CLUSTERS}/acme", {"name": "acme", "status": "RUNNING"})
    assert _look("cluster") is True


def test_a_404_of_something_that_is_not_google_proves_nothing(google: Wire) -> None:
    google.on(f"{NETWORKS}/acme", b"<html>404</html>", status=404)
    assert "404" in _why("network")
    google.on(f"{NETWORKS}/acme", b"<html>welcome</html>")
    assert "not valid JSON" in _why("network")


def test_an_api_that_is_switched_off_is_told_as_such(google: Wire) -> None:
    told = "Kubernetes Engine API has not been used in project 1 before or it is disabled"
    google.on(f"{CLUSTERS}/acme", {"error": {"code": 403, "message": told}}, status=403)
    assert "is not for use" in _why("cluster")


def test_nobody_at_the_other_end_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CONTAINER_CUSTOM_ENDPOINT", "http://127.0.0.1:1/")
    assert "cannot be reached" in _why("cluster")


def test_a_grant_is_there_when_the_policy_has_it(google: Wire) -> None:
    google.on(f"{ACCOUNT}:getIamPolicy", {"bindings": [GRANT]}, method="POST")
    assert _look("identity-data-postgres-prod") is True
    assert _look("identity-data-postgres-prod-recovered") is False


def test_a_conditional_grant_is_another_one(google: Wire) -> None:
    google.on(f"{ACCOUNT}:getIamPolicy", {"bindings": [{**GRANT, "condition": {"title": "x"}}]}, method="POST")
    assert _look("identity-data-postgres-prod") is False


def test_a_grant_is_gone_with_its_account(google: Wire) -> None:
    google.on(f"{ACCOUNT}:getIamPolicy", NOT_FOUND, status=404, method="POST")
    assert _look("identity-data-postgres-prod") is False
    google.on(ACCOUNT, {"email": BACKUPS})
    assert "what it is of is there" in _why("identity-data-postgres-prod")


def test_the_policy_of_a_project_that_is_not_found_proves_nothing(google: Wire) -> None:
    google.on(f"/projects/{PROJECT}:getIamPolicy", NOT_FOUND, status=404, method="POST")
    assert "not to be found" in _why("node-role-reader")


def test_a_nat_is_in_its_router(google: Wire) -> None:
    google.on(f"/projects/{PROJECT}/regions/europe-west4/routers/out", {"name": "out", "nats": [{"name": "out"}]})
    assert _look("nat") is True
    google.on(f"/projects/{PROJECT}/regions/europe-west4/routers/out", {"name": "out"})
    assert _look("nat") is False


def test_a_policy_is_asked_for_once(google: Wire) -> None:
    google.on(f"{ACCOUNT}:getIamPolicy", {"bindings": [GRANT]}, method="POST")
    api = GoogleApi()
    for name in RESOURCES:
        api.look(RESOURCES[name])
    assert len([asked for asked in google.received("POST") if asked.path == f"{ACCOUNT}:getIamPolicy"]) == 1


def test_no_token_is_sent_over_what_is_not_encrypted(google: Wire) -> None:
    assert _look("network") is False
    assert not [asked for asked in google.asked if "authorization" in asked.headers]


def test_without_the_provider_s_variables_it_is_google(monkeypatch: pytest.MonkeyPatch) -> None:
    for api in Api:
        monkeypatch.delenv(f"GOOGLE_{api}_CUSTOM_ENDPOINT", raising=False)
        assert endpoint(api).startswith("https://")
        assert ".googleapis.com/" in endpoint(api)
