"""The infrastructure's configuration: what the repository's files hold, and how a wrong one is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from dr.config.environment import InfrastructureStacks
from dr.config.infrastructure import Platform
from dr.config.load import infrastructure_of, load_environment, load_infrastructure
from dr.config.stack_file import read_section
from dr.core.errors import ConfigError
from dr.stacks.resources import platform_resources
from tests.support.builders import an_environment, config_document
from tests.support.infra_fixtures import a_durable, a_platform, an_infrastructure, durable_document, platform_document

ROOT = Path(__file__).resolve().parents[2]


def _network(**changes: str) -> dict[str, str]:
    network: dict[str, str] = platform_document()["config"]["postgres-dr:network"]
    return {**network, **changes}


def _refused(**changes: Any) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        read_section(Platform, "platform", platform_document(**changes), where="Pulumi.platform.yaml")
    return refused.value


def test_the_repositorys_files_hold_the_runbooks_values_and_cover_its_environments() -> None:
    for name in ("dev", "prod"):
        environment = load_environment(name, ROOT)
        found = infrastructure_of(environment, ROOT)
        assert found.durable.gcp_project == "development-485000"
        assert found.durable.backup.bucket == "tomoda-db-backups-development-485000"
        assert found.durable.backup.recovery_window_days == 30
        assert found.durable.backup.retention_days == 30
        assert ("data", f"postgres-{name}-recovered-3") in found.platform.identities


def test_a_stack_of_the_infrastructure_is_no_environment() -> None:
    with pytest.raises(ConfigError) as refused:
        load_environment("platform", ROOT)
    assert refused.value.code == "env-unknown"
    assert "one of: dev, prod " in refused.value.remedy


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"region": "europe"}, "postgres-dr:region is 'europe'"),
        ({"network": _network(pods="10.2.0.0")}, "postgres-dr:network.pods is '10.2.0.0'"),
        ({"network": _network(pods="10.2.0.1/16")}, "postgres-dr:network.pods is '10.2.0.1/16'"),
        ({"network": _network(pods="10.1.8.0/22")}, "network.nodes 10.1.0.0/20 and network.pods 10.1.8.0/22 overlap"),
        (
            {"cluster": {"name": "acme", "controlPlane": "172.16.0.0/28", "zone": "us-east1-b"}},
            "us-east1-b is not in region europe-west4",
        ),
        ({"nodePools": [{"name": "a"}, {"name": "a"}]}, "two pools named 'a'"),
        ({"nodePools": [{"name": "a", "minNodes": 4}]}, "minNodes 4 and maxNodes 3"),
        ({"nodePools": []}, "postgres-dr:nodePools is []"),
        ({"nodeAccount": "x"}, "postgres-dr:nodeAccount is 'x'"),
        ({"clutser": {}}, "unknown key postgres-dr:clutser"),
        ({"region": None}, "postgres-dr:region is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_value_is_refused_with_what_to_write_instead(changes: dict[str, Any], said: str) -> None:
    refused = _refused(**changes)
    assert said in refused.cause
    assert refused.remedy


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"retentionDays": 29}, "backup.retentionDays is 29, and backup.recoveryWindowDays is 30"),
        ({"softDeleteDays": 3}, "backup.softDeleteDays is 3"),
        ({"roles": ["objectAdmin"]}, "backup.roles.0 is 'objectAdmin'"),
    ],
)
def test_the_bucket_may_not_forget_before_the_recovery_window_ends(changes: dict[str, Any], said: str) -> None:
    backup = {**durable_document()["config"]["postgres-dr:backup"], **changes}
    with pytest.raises(ConfigError) as refused:
        a_durable(backup=backup)
    assert said in refused.value.cause


def test_google_writes_a_location_in_capitals_and_so_do_we() -> None:
    backup = {**durable_document()["config"]["postgres-dr:backup"], "location": "eu"}
    assert a_durable(backup=backup).backup.location == "EU"


def test_the_two_stacks_have_to_be_of_one_infrastructure() -> None:
    whole = an_infrastructure()
    identity = {**platform_document()["config"]["postgres-dr:workloadIdentity"], "account": "another-one"}
    for platform in (a_platform(gcpProject="another-project"), a_platform(workloadIdentity=identity)):
        with pytest.raises(ConfigError) as refused:
            replace(whole, platform=platform)
        assert refused.value.code == "infrastructure-contradiction"


@pytest.mark.parametrize(
    "changes",
    [
        {"gcpProject": "another-project"},
        {"backup": {"bucket": "another-bucket", "path": "prod"}},
        {"backup": {"store": "s3", "bucket": "backups-of-acme", "path": "prod"}},
        {"sourceCluster": "postgres-other"},
        {"namespace": "elsewhere"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_environment_has_to_live_on_its_infrastructure(changes: dict[str, Any]) -> None:
    an_infrastructure().check_covers(an_environment())
    with pytest.raises(ConfigError) as refused:
        an_infrastructure().check_covers(an_environment(**changes))
    assert refused.value.code == "infrastructure-contradiction"


def test_an_environment_without_infrastructure_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        infrastructure_of(an_environment(), tmp_path)
    assert refused.value.code == "infrastructure-not-configured"


def test_a_stack_whose_file_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.durable.yaml").write_text(yaml.safe_dump(durable_document()))
    with pytest.raises(ConfigError) as refused:
        load_infrastructure(tmp_path, InfrastructureStacks())
    assert refused.value.code == "infrastructure-not-configured"
    assert "Pulumi.platform.yaml" in refused.value.cause


def test_the_files_of_stacks_do_not_stand_in_an_environments_way(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.prod.yaml").write_text(yaml.safe_dump(config_document(infrastructure={"durable": "keep"})))
    (tmp_path / "Pulumi.keep.yaml").write_text(yaml.safe_dump(durable_document()))
    (tmp_path / "Pulumi.platform.yaml").write_text(yaml.safe_dump(platform_document()))
    found = infrastructure_of(load_environment("prod", tmp_path), tmp_path)
    assert (found.durable.name, found.platform.name) == ("keep", "platform")


def test_in_another_region_nothing_collides_with_what_may_still_be_there() -> None:
    here, there = a_platform(), a_platform().in_region("europe-north1", zone="europe-north1-b")
    assert there.name == "platform-europe-north1"
    assert there.location == "europe-north1-b"
    grants = {resource.import_id for resource in platform_resources(here) if resource.name.startswith("identity-")}
    mine, theirs = ({resource.import_id for resource in platform_resources(part)} for part in (here, there))
    assert mine & theirs == grants, "the pool of identities is the project's, so its grants are the same"


def test_a_long_account_is_shortened_for_its_region() -> None:
    there = a_platform(nodeAccount="a-very-long-account-of-nodes-x").in_region("northamerica-northeast1")
    assert len(there.node_account) <= 30
    assert there.node_account.endswith("-northamerica-northeast1")
