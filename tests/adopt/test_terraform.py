"""What a Terraform state says, and how it fits the stacks."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from dr.adopt.plan import StackAdoption, check_unchanged, decide_adoption
from dr.adopt.terraform import TerraformFit, fit, read_terraform
from dr.config.environment import InfrastructureStacks
from dr.config.load import load_infrastructure
from dr.core.errors import RefusedError, RequestError
from dr.engine.changes import Change, Changes, Op, PathChange
from dr.infra.inventory import Reconciliation
from dr.stacks.resources import CloudResource, resources_of

ROOT = Path(__file__).resolve().parents[2]
STATE = json.loads((ROOT / "tests" / "support" / "terraform.tfstate.json").read_text())
INFRASTRUCTURE = load_infrastructure(ROOT, InfrastructureStacks())
DURABLE, PLATFORM = resources_of(INFRASTRUCTURE.durable), resources_of(INFRASTRUCTURE.platform)
RESOURCES = (*DURABLE, *PLATFORM)


def _block(state: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(block for block in state["resources"] if block["type"] == kind)
    return found


def _changed(kind: str, *, instance: dict[str, Any] | None = None, **attributes: Any) -> str:
    state = deepcopy(STATE)
    changed = _block(state, kind)["instances"][0]
    changed["attributes"] |= attributes
    changed |= instance or {}
    return json.dumps(state)


def _fit(text: str = json.dumps(STATE), *, left: tuple[str, ...] = ()) -> TerraformFit:
    return fit(read_terraform(text), RESOURCES, left=left)


def _refused(text: str) -> str:
    with pytest.raises(RefusedError) as refused:
        _fit(text)
    assert {problem.code for problem in refused.value.problems} == {"terraform-contradiction"}
    return " ".join(problem.cause for problem in refused.value.problems)


def test_everything_that_the_old_infrastructure_made_is_found_again() -> None:
    found = _fit()
    matched = {match.resource.name: match.held.address for match in found.matches}
    assert matched["cluster"] == "google_container_cluster.main"
    assert matched["pool-spot"] == 'google_container_node_pool.pools["spot"]'
    assert matched["backup-bucket"] == "module.backup.google_storage_bucket.backups"
    assert matched["nat"] == "google_compute_router_nat.main"
    assert matched["identity-data-postgres-prod"] == (
        'module.backup.google_service_account_iam_member.cnpg["postgres-prod"]'
    )
    # What it did not make are the grants for names that are new with this tool.
    assert {resource.name.split("-")[0] for resource in found.missing} == {"identity"}
    assert len(found.matches) + len(found.missing) == len(RESOURCES)


def test_what_no_stack_declares_is_listed() -> None:
    assert [held.address for held in _fit().unknown] == [
        'google_project_service.apis["compute.googleapis.com"]',
        'google_project_service.apis["container.googleapis.com"]',
        "helm_release.argocd",
    ]


def test_no_attribute_is_kept() -> None:
    assert "LS0tLS1CRUdJTi" not in repr(read_terraform(json.dumps(STATE)))


@pytest.mark.parametrize(
    ("kind", "attributes", "said"),
    [
        ("google_container_cluster", {"name": "old"}, "clusters/old"),
        ("google_container_cluster", {"location": "us-east1"}, "locations/us-east1"),
        ("google_storage_bucket", {"name": "another-bucket"}, "another-bucket"),
        ("google_compute_network", {"project": "another-project"}, "projects/another-project"),
        ("google_compute_subnetwork", {"region": "us-east1"}, "regions/us-east1"),
        ("google_container_node_pool", {"name": "default"}, "/default"),
        ("google_service_account", {"email": "other@development-485000.iam.gserviceaccount.com"}, "other@"),
    ],
)
def test_another_name_is_a_contradiction(kind: str, attributes: dict[str, Any], said: str) -> None:
    assert said in _refused(_changed(kind, **attributes))


def test_all_contradictions_are_told_at_once() -> None:
    state = deepcopy(STATE)
    for kind in ("google_container_cluster", "google_compute_network"):
        _block(state, kind)["instances"][0]["attributes"]["name"] = "old"
    said = _refused(json.dumps(state))
    assert "GKE cluster tomoda" in said
    assert "network tomoda-vpc" in said


def test_what_has_nothing_to_do_with_it_can_be_passed_over() -> None:
    text = _changed("google_container_cluster", name="of-another-team")
    found = _fit(text, left=("google_container_cluster.main",))
    assert "cluster" in {resource.name for resource in found.missing}


def test_a_thing_at_two_addresses_is_a_contradiction() -> None:
    state = deepcopy(STATE)
    state["resources"].append({**_block(state, "google_storage_bucket"), "module": "module.again"})
    assert "twice" in _refused(json.dumps(state))


@pytest.mark.parametrize(
    ("instance", "said"),
    [({"deposed": "a1b2"}, "deposed"), ({"status": "tainted"}, "tainted")],
)
def test_what_terraform_would_not_leave_alone_is_a_contradiction(instance: dict[str, Any], said: str) -> None:
    assert said in _refused(_changed("google_container_cluster", instance=instance))


def test_a_grant_with_a_condition_is_another_one() -> None:
    assert "condition" in _refused(_changed("google_project_iam_member", condition=[{"title": "in the daytime"}]))


def test_a_binding_is_a_grant_for_each_of_its_members() -> None:
    # GIVEN a state with an authoritative binding in place of the members
    state = deepcopy(STATE)
    block = _block(state, "google_service_account_iam_member")
    members = [instance["attributes"]["member"] for instance in block["instances"]]
    attributes = {**block["instances"][0]["attributes"], "members": members}
    del attributes["member"]
    block |= {"type": "google_service_account_iam_binding", "instances": [{"attributes": attributes}]}
    # THEN
    matched = {match.resource.name for match in _fit(json.dumps(state)).matches}
    assert matched == {match.resource.name for match in _fit().matches}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"version": 3, "modules": []}', '{"version": 4, "resources": [{}]}', '{"version": 4}'],
)
def test_another_file_is_no_state(text: str) -> None:
    with pytest.raises(RequestError) as refused:
        read_terraform(text)
    assert refused.value.code == "terraform-state-unreadable"
    assert "terraform state pull" in refused.value.remedy


def _adoption() -> StackAdoption:
    there = tuple(resource for resource in DURABLE if resource.name != "backup-account")
    account = tuple(resource for resource in DURABLE if resource.name == "backup-account")
    return decide_adoption(Reconciliation(stack="durable", imported=there, made=account), _fit())


def test_what_terraform_holds_and_google_has_not_is_not_imported() -> None:
    adoption = _adoption()
    assert [resource.name for resource in adoption.vanished] == ["backup-account"]
    assert "backup-account" not in adoption.imports


def test_only_what_is_imported_and_what_it_stands_below_is_dealt_with() -> None:
    assert [urn.rpartition("::")[2] for urn in _adoption().targets] == [
        "backup",
        "backup-bucket",
        "backup-access-objectAdmin",
        "backup-access-legacyBucketReader",
    ]


def test_what_is_held_already_is_left_out() -> None:
    adoption = decide_adoption(Reconciliation(stack="durable", kept=DURABLE), _fit())
    assert (adoption.matches, len(adoption.already)) == ((), len(DURABLE))


def _change(resource: CloudResource, op: Op = Op.IMPORT, **more: Any) -> Change:
    return Change(op=op, type=resource.type, urn=resource.urn("durable"), **more)


def _would_change(*changes: Change) -> str:
    with pytest.raises(RefusedError) as refused:
        check_unchanged(_adoption(), Changes(stack="durable", items=changes))
    assert {problem.code for problem in refused.value.problems} == {"adoption-would-change"}
    return " ".join(problem.cause for problem in refused.value.problems)


def test_an_adoption_imports_everything_and_changes_nothing() -> None:
    names = _adoption().imports
    imports = [_change(resource) for resource in DURABLE if resource.name in names]
    bucket = imports[0]
    check_unchanged(_adoption(), Changes(stack="durable", items=tuple(imports)))
    # WHEN one would be updated, THEN that is told with both values
    age = PathChange(path="lifecycleRules[0].condition.age", kind="update", before=90, after=30)
    changed = _change(DURABLE[0], paths=(age,))
    assert "lifecycleRules[0].condition.age is 90, declared 30" in _would_change(changed, *imports[1:])
    # ... and so is one that would not be imported, and one that would be made
    assert "does not import backup-bucket" in _would_change(*imports[1:])
    assert "would create backup-account" in _would_change(bucket, *imports[1:], _change(DURABLE[1], Op.CREATE))


def test_a_preview_that_pulumi_ended_is_no_agreement() -> None:
    imports = tuple(_change(resource) for resource in DURABLE if resource.name in _adoption().imports)
    with pytest.raises(RefusedError) as refused:
        check_unchanged(_adoption(), Changes(stack="durable", items=imports, faults=("it is protected",)))
    assert "ends with: it is protected" in refused.value.cause
