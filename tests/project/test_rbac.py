"""The manifests of what each group of commands has to be allowed."""

from pathlib import Path

import pytest
import yaml

from dr.cnpg.recovered import app_secret_name, ca_secret_name
from tests.support.rbac import FOLDER, GROUPS, allowed_by, documents, for_environment, table

ROOT = Path(__file__).resolve().parents[2]
LOOKING = {"get", "list", "watch"}


@pytest.mark.parametrize("group", GROUPS)
def test_every_role_is_bound_to_its_group_and_nothing_is_a_wildcard(group: str) -> None:
    found = documents(group)
    bound = {
        (one["roleRef"]["kind"], one["roleRef"]["name"], one["metadata"].get("namespace"))
        for one in found
        if one["kind"].endswith("Binding")
    }
    roles = {
        (one["kind"], one["metadata"]["name"], one["metadata"].get("namespace")) for one in found if "rules" in one
    }
    assert bound == roles
    for one in found:
        for subject in one.get("subjects", ()):
            assert subject["name"].removeprefix("postgres-dr-") in GROUPS
    assert all("*" not in (one.group, one.resource, one.verb) for one in allowed_by(group))


def test_looking_changes_nothing() -> None:
    changing = {one for one in allowed_by("view") if one.verb not in LOOKING}
    assert {(one.resource, one.verb) for one in changing} == {("pods/exec", "create")}


def test_only_those_who_recover_or_drill_may_read_secrets_and_only_finalize_may_list_them() -> None:
    verbs = {group: {one.verb for one in allowed_by(group) if one.resource == "secrets"} for group in GROUPS}
    recover = {"get", "create", "patch"}
    assert verbs == {"view": set(), "drill": {"get"}, "recover": recover, "finalize": {"list", "delete"}}


def test_only_copies_that_the_tool_makes_may_be_changed() -> None:
    """E19, E20."""
    (found,) = (one for one in allowed_by("recover") if (one.resource, one.verb) == ("secrets", "patch"))
    generations = [f"postgres-prod-recovered{number}" for number in ("", "-2", "-3")]
    made = {name(one) for one in generations for name in (app_secret_name, ca_secret_name)}
    assert set(found.names) == made


def test_nobody_may_read_the_secrets_of_the_workloads_or_of_the_cluster() -> None:
    for group in GROUPS:
        assert not [one for one in allowed_by(group) if one.resource == "secrets" and one.namespace != "data"]


def test_a_drill_touches_neither_the_traffic_nor_the_writers() -> None:
    written = {(one.namespace, one.resource) for one in allowed_by("drill") if one.verb not in LOOKING}
    assert written == {
        ("data", resource) for resource in ("clusters", "configmaps", "leases", "persistentvolumeclaims")
    }


def test_everything_is_applied_at_once() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert kustomization["resources"] == [f"{group}.yaml" for group in GROUPS]


def test_another_environment_is_another_name() -> None:
    found = list(yaml.safe_load_all(for_environment("dev")))
    assert len(found) == sum(len(documents(group)) for group in GROUPS)
    assert "prod" not in for_environment("dev").replace("Pulumi.prod.yaml", "").replace("`prod`", "")


def test_the_documentation_has_the_same_table() -> None:
    assert table() in (ROOT / "docs" / "configuration.md").read_text()
