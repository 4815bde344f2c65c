"""What is lost with the cluster, what comes back with an empty one, and what Git declares for it."""

from pathlib import Path

import pytest
import yaml
from rich.console import Console

from lab import config, disaster, up
from lab.data import content, repository
from lab.data.environments import ENVIRONMENTS
from lab.environment import environment
from lab.errors import LabError
from lab.gcp import component, resource_types, seed
from lab.gcp.backend import RecordOnlyBackend
from lab.gcp.cloud import Cloud
from lab.gcp.google import Google
from lab.paths import CHECKOUT, Cache, State
from lab.platform import cnpg, gcs, secrets
from lab.status import PARTS


@pytest.fixture
def where(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def test_what_is_no_part_of_a_cluster_stays() -> None:
    kept = {*PARTS} - {*disaster.LOST} - {"node", "containerd", "kubelet"}
    assert kept == {gcs.NAME, component.NAME}


def test_an_empty_cluster_has_no_operator_no_kinds_and_no_data(where: State, tmp_path: Path) -> None:
    steps = [step.name for step in up._Lab(where, Cache(tmp_path / "cache")).new_node_steps()]
    assert {"control-plane", "kubelet", "dns", "storage", "load-postgres", "gitops-processes"} <= {*steps}
    assert not {"cnpg", "plugin", "gitops", "data", "google", "packages"} & {*steps}


def test_the_cloud_is_as_the_old_infrastructure_left_it(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path / "cloud.json", gcs.PROJECT)
    seed.sow(Google(cloud, RecordOnlyBackend(cloud), {"project": gcs.PROJECT}), CHECKOUT)
    found = cloud.read()
    assert [bucket["name"] for bucket in found.of(resource_types.BUCKET.token).values()] == [gcs.BUCKET]
    members = {binding["member"] for binding in found.of(resource_types.ACCOUNT_MEMBER.token).values()}
    assert f"serviceAccount:{gcs.PROJECT}.svc.id.goog[data/postgres-prod]" in members
    assert len(found.of(resource_types.NODE_POOL.token)) == len(
        seed.settings(CHECKOUT / "Pulumi.platform.yaml")["nodePools"]
    )
    assert found.calls == [], "it was there before anybody asked"


def test_a_lost_cluster_is_lost_at_google_too(where: State) -> None:
    with component.cloud(where).change() as contents:
        contents.of(resource_types.CLUSTER.token)["one"] = {"name": "one"}
        contents.of(resource_types.NODE_POOL.token)["pool"] = {"name": "pool"}
        contents.of(resource_types.NETWORK.token)["net"] = {"name": "net"}
    component.lose_cluster(where)
    assert [token for token, found in component.cloud(where).read().objects.items() if found] == [
        resource_types.NETWORK.token
    ]


def test_git_declares_what_the_data_needs(where: State, tmp_path: Path) -> None:
    operator = tmp_path / "operator.yaml"
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"}}
    operator.write_text(yaml.safe_dump(kind))
    repository.declare_platform(where, operator)
    head = repository.head(where)
    repository.declare_platform(where, operator)
    assert repository.head(where) == head, "the second time there was nothing to declare"
    apps = {file.stem for file in (where.repository_clone / repository.APPLICATIONS).glob("*.yaml")}
    assert apps == {*repository.applications()[1:], "cnpg", "foundation"}
    declared = yaml.safe_load((where.repository_clone / repository.APPLICATIONS / "cnpg.yaml").read_text())
    assert declared["spec"]["destination"]["namespace"] == cnpg.NAMESPACE
    assert declared["spec"]["syncPolicy"]["syncOptions"] == ["ServerSideApply=true"]


def test_a_database_that_is_made_anew_has_tables_and_no_rows() -> None:
    sql = content.without_rows(content.SEED.read_text())
    assert sql.count("CREATE TABLE") == content.SEED.read_text().count("CREATE TABLE")
    assert "INSERT" not in sql
    seeds = [found for found in content.foundation() if found["metadata"]["name"] == "postgres-seed"]
    assert [found["data"]["seed.sql"] for found in seeds] == [sql]


def test_a_secret_is_copied_to_the_workloads_of_its_database() -> None:
    (prod,) = (found for found in ENVIRONMENTS if found.name == "prod")
    found = {"metadata": {"name": prod.secret}, "type": "kubernetes.io/basic-auth", "data": {"password": "eA=="}}
    copy = secrets.copy_of(found, prod)
    assert copy["metadata"] == {"name": "postgres-prod-app", "namespace": "prod"}
    assert copy["data"] == found["data"]


def test_the_stacks_of_all_environments_find_the_lab(where: State) -> None:
    config.write(where, CHECKOUT)
    platform = yaml.safe_load((where.config / "Pulumi.platform.yaml").read_text())["config"]
    assert platform["postgres-dr:stateBackend"] == f"file://{where.pulumi}"
    assert platform["postgres-dr:operatorCredentials"] is False
    assert platform["postgres-dr:holds"] == "platform"


def test_the_environment_leads_to_the_double() -> None:
    found = environment()
    assert found["PULUMI_DEBUG_PROVIDERS"] == "gcp:14470,command:14471"
    assert found["GOOGLE_CONTAINER_CUSTOM_ENDPOINT"] == f"http://{component.ADDRESS}/container/v1/"
    assert found["GCE_METADATA_HOST"] == component.ADDRESS
    assert found["SSL_CERT_FILE"].endswith("authorities.pem")


def test_there_is_no_lab_to_lose(where: State, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="losing the cluster"):
        disaster.lose(where, Cache(tmp_path / "cache"), Console())
