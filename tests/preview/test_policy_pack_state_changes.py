"""What would change, from a state and what is declared, as the policy pack sees it."""

from typing import Any

import pytest

from dr.engine.changes import Op
from dr.guard.rules import BUCKET, CLUSTER
from dr.preview.policy_pack import declared_change, going, state_resources

STACK = "urn:pulumi:durable::postgres-dr::"


def resource(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"urn": f"{STACK}{kind}::{name}", "type": kind, "inputs": {}, "id": f"id-of-{name}", **more}


def state(*resources: dict[str, Any]) -> dict[str, Any]:
    return dict(state_resources({"resources": list(resources)}))


BACKUPS = resource(
    BUCKET, "backups", inputs={"name": "acme", "location": "EU", "__defaults": [], "labels": {"__defaults": []}}
)


@pytest.mark.parametrize(
    ("inputs", "op"),
    [
        ({"name": "acme", "location": "EU", "labels": {}}, Op.KEEP),
        ({"name": "acme", "location": "EU", "labels": {"a": "b"}}, Op.UPDATE),
        ({"name": "acme", "location": "US", "labels": {}}, Op.REPLACE),
        ({"name": "other", "location": "EU", "labels": {}}, Op.REPLACE),
    ],
)
def test_what_is_declared_is_told_against_the_state(inputs: dict[str, Any], op: Op) -> None:
    assert declared_change(state(BACKUPS), BACKUPS["urn"], BUCKET, inputs).op is op


def test_what_is_not_in_the_state_is_created() -> None:
    assert declared_change({}, BACKUPS["urn"], BUCKET, {"name": "acme"}).op is Op.CREATE


def test_a_kubernetes_object_is_another_one_by_another_name() -> None:
    old = resource(CLUSTER, "db", inputs={"metadata": {"name": "db", "namespace": "data"}, "spec": {"instances": 1}})
    known = state(old)
    changed = {"metadata": {"name": "db", "namespace": "data"}, "spec": {"instances": 3}}
    change = declared_change(known, old["urn"], CLUSTER, changed)
    assert (change.op, [path.path for path in change.paths]) == (Op.UPDATE, ["spec.instances"])
    assert declared_change(known, old["urn"], CLUSTER, {"metadata": {"name": "db2"}}).op is Op.REPLACE


def test_what_is_not_declared_any_more_goes_or_is_let_go_of() -> None:
    kept = resource(BUCKET, "kept")
    retained = resource(BUCKET, "retained", retainOnDelete=True, protect=True)
    pending = resource(BUCKET, "pending", delete=True)
    provider = resource("pulumi:providers:gcp", "google")
    found = going("durable", state(BACKUPS, kept, retained, pending, provider), {kept["urn"]})
    assert [(change.name, change.op, change.protected) for change in found.items] == [
        ("backups", Op.DELETE, False),
        ("retained", Op.FORGET, True),
    ]
    assert found.items[0].old("name") == "acme"


def test_an_empty_state_has_nothing_to_lose() -> None:
    assert going("durable", state_resources({}), set()).items == ()
