"""Another region: what the bucket's location allows."""

from typing import Any

import pytest

from dr.infra.region import BucketLocation, region_problems, region_warnings

LOST, WANTED = "asia-northeast1", "asia-northeast2"


def _bucket(**raw: Any) -> BucketLocation:
    return BucketLocation.from_object({"name": "backups", **raw})


REGION = _bucket(location="ASIA-NORTHEAST1", locationType="region")
PAIR = _bucket(location="ASIA1", locationType="dual-region")
TURBO = _bucket(
    location="ASIA",
    locationType="dual-region",
    rpo="ASYNC_TURBO",
    customPlacementConfig={"dataLocations": ["ASIA-NORTHEAST1", "ASIA-SOUTHEAST1"]},
)
CONTINENT = _bucket(location="ASIA", locationType="multi-region")


def _codes(bucket: BucketLocation, wanted: str = WANTED) -> list[str]:
    return [problem.code for problem in region_problems(bucket, lost=LOST, wanted=wanted)]


def _warnings(bucket: BucketLocation, wanted: str = WANTED, state: str = "file:///state") -> list[str]:
    return list(region_warnings(bucket, lost=LOST, wanted=wanted, state=state))


def test_a_bucket_of_the_lost_region_alone_is_lost_with_it() -> None:
    assert _codes(REGION) == ["bucket-in-lost-region"]
    assert _codes(_bucket(location="EUROPE-WEST4", locationType="region")) == []


@pytest.mark.parametrize("bucket", [PAIR, TURBO, CONTINENT])
def test_a_bucket_of_more_regions_survives_one(bucket: BucketLocation) -> None:
    assert _codes(bucket) == []


def test_the_same_region_is_no_other_one() -> None:
    assert _codes(PAIR, wanted=LOST) == ["region-is-the-same"]


def test_what_may_not_have_been_replicated_is_told_by_the_kind_of_replication() -> None:
    assert "an hour, at worst 12" in _warnings(PAIR)[0]
    assert "15 minutes" in _warnings(TURBO, wanted="asia-southeast1")[0]
    assert "an hour, at worst 12" in _warnings(CONTINENT)[0]


def test_a_way_that_crosses_regions_is_told() -> None:
    assert not any("crosses regions" in line for line in _warnings(PAIR))
    assert not any("crosses regions" in line for line in _warnings(CONTINENT, wanted="asia-south1"))
    assert any("crosses regions" in line for line in _warnings(CONTINENT, wanted="europe-west4"))
    assert any("crosses regions" in line for line in _warnings(TURBO))


def test_a_state_in_a_bucket_and_the_way_back_are_told() -> None:
    assert any("gs://state" in line for line in _warnings(PAIR, state="gs://state/prod"))
    assert not any("Pulumi" in line for line in _warnings(PAIR))
    assert "still there" in _warnings(PAIR)[-1]
