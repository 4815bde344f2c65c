"""What is deployed: the manifests agree with the configuration that comes with them, and with each other."""

import re
from pathlib import Path
from typing import Any

import yaml

from dr.config.kubernetes_access import KubernetesAccess
from dr.config.load import load_environment
from dr.kube.api import KubernetesApi
from tests.support.installed import SOURCES
from tests.support.rbac import documents

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def _cronjob() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "health-cronjob.yaml").read_text())
    return found


def _pod() -> dict[str, Any]:
    found: dict[str, Any] = _cronjob()["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


def test_the_health_check_runs_once_a_week_and_as_an_account_that_only_looks() -> None:
    assert _cronjob()["spec"]["schedule"].split()[2:] == ["*", "*", "1"]
    accounts = [one["metadata"] for one in documents("view") if one["kind"] == "ServiceAccount"]
    assert accounts == [{"name": _pod()["serviceAccountName"], "namespace": _cronjob()["metadata"]["namespace"]}]


def test_it_has_no_right_on_its_node() -> None:
    (container,) = _pod()["containers"]
    assert _pod()["securityContext"]["runAsNonRoot"]
    rights = container["securityContext"]
    assert (rights["allowPrivilegeEscalation"], rights["readOnlyRootFilesystem"]) == (False, True)
    assert rights["capabilities"] == {"drop": ["ALL"]}


def test_what_it_runs_is_a_command_of_this_tool() -> None:
    from dr.health.command import command

    (container,) = _pod()["containers"]
    name, *arguments = container["args"]
    assert name == command.name
    command.make_context(name, list(arguments), help_option_names=["-h", "--help"]).close()


def test_the_kubeconfig_of_a_pod_has_the_environments_context() -> None:
    environment = load_environment("prod", ROOT)
    document = yaml.safe_load((DEPLOY / "in-cluster.kubeconfig").read_text())
    assert [one["name"] for one in document["contexts"]] == [environment.kubernetes.context]
    user = document["users"][0]["user"]
    assert list(user) == ["tokenFile"], "no token of anybody stands in it"


def test_a_token_in_a_file_is_used(tmp_path: Path) -> None:
    """As a pod has it."""
    (tmp_path / "token").write_text("of-the-pod")
    (tmp_path / "ca.crt").write_text("")
    document = yaml.safe_load((DEPLOY / "in-cluster.kubeconfig").read_text())
    document["users"][0]["user"]["tokenFile"] = str(tmp_path / "token")
    document["clusters"][0]["cluster"]["certificate-authority"] = str(tmp_path / "ca.crt")
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    api = KubernetesApi(KubernetesAccess(context="tomoda-prod", kubeconfig=str(path)))
    assert api.server == "https://kubernetes.default.svc"
    assert api.new_client().configuration.api_key == {"authorization": "Bearer of-the-pod"}


def test_the_image_is_made_of_files_that_are_there() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = {name for line in lines if re.match("COPY (?!--from)", line) for name in line.split()[1:-1]}
    assert set(SOURCES) <= copied, "the wheel is built of what the tests build it of"
    assert all((ROOT / name).exists() for name in copied)
    installs = [line for line in lines if "pip install" in line]
    assert all("--require-hashes" in line or "--no-index" in line for line in installs), "only what was locked"
    assert lines[-1] == 'ENTRYPOINT ["/app/bin/dr"]'
