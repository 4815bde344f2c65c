"""What becomes of each resource: kept, imported, dropped, made; or refused for want of proof."""

import pytest

from dr.model.errors import AccessError
from dr.model.infrastructure_resources import resources_of
from dr.model.survey import Sighting, check_proven, reconcile
from tests.infrastructures import a_platform

NETWORK, SUBNET, ROUTER, NAT, *_ = resources_of(a_platform())


def test_what_is_there_and_what_is_held_decide() -> None:
    # GIVEN one of each
    sightings = [
        Sighting(resource=NETWORK, there=True),
        Sighting(resource=SUBNET, there=True),
        Sighting(resource=ROUTER, there=False),
        Sighting(resource=NAT, there=False),
    ]
    held = {resource.urn("platform"): "id" for resource in (NETWORK, ROUTER)}
    # WHEN
    found = reconcile("platform", sightings, held)
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
    sightings = [
        Sighting(resource=NETWORK, there=False),
        Sighting(resource=SUBNET, there=None, why="Google answers 503"),
        Sighting(resource=ROUTER, there=None, why="Google answers 403"),
    ]
    with pytest.raises(AccessError) as refused:
        check_proven("platform", sightings)
    assert refused.value.code == "survey-unproven"
    assert "2 of 3" in refused.value.cause
    assert f"{SUBNET.title}: Google answers 503" in refused.value.cause
