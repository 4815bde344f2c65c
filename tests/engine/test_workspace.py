"""A stack's exported state, read and rewritten."""

from copy import deepcopy
from typing import Any

from dr.engine.workspace import emptied, held, without

STACK = {"urn": "s", "type": "pulumi:pulumi:Stack", "id": "", "custom": False}
PROVIDER = {"urn": "p", "type": "pulumi:providers:gcp", "id": "1-2", "custom": True}
COMPONENT = {"urn": "k", "type": "postgres-dr:infrastructure:Cluster", "custom": False}
CLUSTER = {
    "urn": "c",
    "type": "gcp:container/cluster:Cluster",
    "id": "projects/p/c",
    "custom": True,
    "parent": "k",
    "protect": True,
    "dependencies": ["n"],
}
POOL = {
    "urn": "q",
    "type": "gcp:container/nodePool:NodePool",
    "id": "q-id",
    "custom": True,
    "dependencies": ["c", "a"],
    "propertyDependencies": {"cluster": ["c"], "nodeConfig": ["a"], "name": None},
    "deletedWith": "c",
}


def _state(**more: Any) -> dict[str, Any]:
    return {"manifest": {}, "resources": deepcopy([STACK, PROVIDER, COMPONENT, CLUSTER, POOL]), **more}


def test_what_is_held_is_what_a_provider_knows() -> None:
    assert held(_state()) == {"c": "projects/p/c", "q": "q-id"}
    assert held({}) == {}


def test_what_only_waits_for_its_deletion_is_not_held() -> None:
    state = _state()
    state["resources"][3]["delete"] = True
    assert held(state) == {"q": "q-id"}


def test_an_emptied_state_keeps_the_stack_and_its_provider() -> None:
    left = emptied(_state(), {"phase": "nothing recovered"})
    assert [resource["urn"] for resource in left["resources"]] == ["s", "p"]
    assert left["resources"][0]["outputs"] == {"phase": "nothing recovered"}
    assert left["manifest"] == {}


def test_what_is_dropped_leaves_no_word_of_it_behind() -> None:
    before = _state()
    after = without(before, {"c"})
    assert [resource["urn"] for resource in after["resources"]] == ["s", "p", "k", "q"]
    pool = after["resources"][-1]
    assert pool["dependencies"] == ["a"]
    assert pool["propertyDependencies"] == {"cluster": [], "nodeConfig": ["a"], "name": []}
    assert "deletedWith" not in pool
    assert before == _state(), "the value that was given stays as it is"


def test_an_operation_that_was_under_way_on_it_is_dropped_with_it() -> None:
    pending = [{"resource": {"urn": "c"}, "type": "creating"}, {"resource": {"urn": "q"}, "type": "updating"}]
    assert without(_state(pending_operations=pending), {"c"})["pending_operations"] == pending[1:]
    assert "pending_operations" not in without(_state(pending_operations=pending), {"c", "q"})
