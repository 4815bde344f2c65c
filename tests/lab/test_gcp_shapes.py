"""Inputs are held against pulumi-gcp's own types."""

from typing import Any

import pytest
from pulumi.runtime.rpc import UNKNOWN
from pulumi_gcp import container, storage

from lab.gcp import shapes
from lab.gcp.resource_types import KINDS
from tests.support.google import BUCKET, CLUSTER


@pytest.mark.parametrize(("args", "inputs"), [(storage.BucketArgs, BUCKET), (container.ClusterArgs, CLUSTER)])
def test_inputs_that_fit_have_no_problem(args: type, inputs: dict[str, Any]) -> None:
    assert list(shapes.problems(args, inputs)) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"location": None}, "location"),
        ({"ageOfEverything": 3}, "ageOfEverything"),
        ({"forceDestroy": "yes"}, "forceDestroy"),
        ({"labels": {"team": 7}}, "labels.team"),
        ({"lifecycleRules": {"action": {}}}, "lifecycleRules"),
        ({"lifecycleRules": [{"condition": {"age": 30}}]}, "lifecycleRules[0].action"),
        (
            {"lifecycleRules": [{"action": {"type": "Delete"}, "condition": {"age": "old"}}]},
            "lifecycleRules[0].condition.age",
        ),
        ({"versioning": True}, "versioning"),
    ],
)
def test_a_problem_is_told_by_its_path(change: dict[str, Any], path: str) -> None:
    assert [found for found, _ in shapes.problems(storage.BucketArgs, {**BUCKET, **change})] == [path]


def test_what_is_not_known_yet_has_every_shape() -> None:
    assert list(shapes.problems(storage.BucketArgs, {"location": UNKNOWN, "lifecycleRules": UNKNOWN})) == []


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.token)
def test_the_table_names_only_what_the_sdk_has(kind: Any) -> None:
    named = {*kind.fixed, *kind.by_server, *kind.by_provider, *kind.defaults, *kind.names, *kind.references}
    assert {name.split(".")[0] for name in named} <= kind.inputs
    assert set(kind.references.values()) <= set(KINDS)
