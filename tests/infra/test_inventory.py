"""What becomes of each resource: kept, imported, dropped, made; or refused for want of proof."""

import pytest

from dr.core.errors import AccessError, RefusedError
from dr.infra.inventory import ResourceState, check_proven, reconcile
from dr.stacks.resources import resources_of
from tests.support.infra_fixtures import a_platform

NETWORK, SUBNET, ROUTER, NAT, *_ = resources_of(a_platform())


def test_what_is_there_and_what_is_held_decide() -> None:
    # GIVEN one of each
    states = [
        ResourceState(resource=NETWORK, there=True),
        ResourceState(resource=SUBNET, there=True),
        ResourceState(resource=ROUTER, there=False),
        ResourceState(resource=NAT, there=False),
    ]
    held = {resource.urn("platform"): resource.import_id for resource in (NETWORK, ROUTER)}
    # WHEN
    found = reconcile("platform", states, held)
    # THEN
    assert found.as_json() == {
        "kept": ["network"],
        "imported": ["subnet"],
        "dropped": ["router"],
        "made": ["router", "nat"],
    }
    assert found.imports == {"subnet": SUBNET.import_id}
    assert found.drops == (ROUTER.urn("platform"),)


def test_nothing_is_decided_on_a_guess() -> None:
    states = [
        ResourceState(resource=NETWORK, there=False),
        ResourceState(resource=SUBNET, there=None, why="Google answers 503"),
        ResourceState(resource=ROUTER, there=None, why="Google answers 403"),
    ]
    with pytest.raises(AccessError) as refused:
        check_proven("platform", states)
    assert refused.value.code == "survey-unproven"
    assert "2 of 3" in refused.value.cause
    assert f"{SUBNET.title}: Google answers 503" in refused.value.cause


STATE_IDS = {
    "nat": "acme-project/europe-west4/out/out",
    "pool-spot": "projects/acme-project/locations/europe-west4/clusters/acme/nodePools/spot",
    "cluster": "projects/acme-project/locations/europe-west4/clusters/acme",
    "node-role-reader": "acme-project/roles/artifactregistry.reader/"
    "serviceAccount:gke-nodes@acme-project.iam.gserviceaccount.com",
    "identity-data-postgres-prod": "projects/acme-project/serviceAccounts/db-backups@acme-project.iam.gserviceaccount"
    ".com/roles/iam.workloadIdentityUser/serviceAccount:acme-project.svc.id.goog[data/postgres-prod]",
}
"""As the provider writes them into the state."""


@pytest.mark.parametrize("name", STATE_IDS)
def test_a_thing_is_known_by_the_id_that_the_provider_gives_it(name: str) -> None:
    resource = next(resource for resource in resources_of(a_platform()) if resource.name == name)
    assert resource.is_known_as(resource.import_id)
    assert resource.is_known_as(STATE_IDS[name])
    assert not resource.is_known_as(STATE_IDS[name].replace("acme-project", "another"))


def test_what_the_state_holds_under_another_name_is_not_forgotten() -> None:
    # GIVEN a state with the cluster as it was called before
    cluster = next(resource for resource in resources_of(a_platform()) if resource.name == "cluster")
    held = {cluster.urn("platform"): STATE_IDS["cluster"].replace("clusters/acme", "clusters/old")}
    # WHEN the one of the new name is not there
    with pytest.raises(RefusedError) as refused:
        reconcile("platform", [ResourceState(resource=cluster, there=False)], held)
    # THEN
    assert refused.value.code == "state-holds-another"
    assert "clusters/old" in refused.value.cause
