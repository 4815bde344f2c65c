"""The weekly health check as ``deploy/health-cronjob.yaml`` has it: in a pod, under its own account.

The lab has no image of this tool. The database's image stands in for it, with this machine's Python and this checkout
mounted into it; everything else is the manifest's.
"""

import json
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import versions
from lab.platform import gcs
from tests.e2e.accounts import Accounts
from tests.e2e.cli_runner import PROJECT, CliRunner, fresh_dev
from tests.support.waiting import HANG_SECONDS, wait_for

pytestmark = pytest.mark.long

DEPLOY = PROJECT / "deploy"
NAMESPACE = ("-n", "data")
KNOWN = [
    {"check": name, "until": "2099-12-31", "why": "the lab's versions are what they are"}
    for name in ("operator-version", "archive-method")
]
MOUNTED = {
    "/python": Path(sys.base_prefix),
    "/site": Path(sysconfig.get_path("purelib")),
    "/app": PROJECT,
}
"""Where this machine's folders are in the pod."""


def stand_in(manifest: dict[str, Any]) -> dict[str, Any]:
    """``manifest`` for the lab's dev: with an image that is there, and what this tool is made of beside it."""
    pod = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    container["image"] = versions.POSTGRES_IMAGE
    container["command"] = [f"/python/bin/python{sys.version_info.major}.{sys.version_info.minor}", "-m", "dr"]
    container["args"] = [word if word != "prod" else "dev" for word in container["args"]]
    container["workingDir"] = "/app"
    container["env"] += [
        {"name": "PYTHONPATH", "value": "/site:/app"},
        {"name": "LD_LIBRARY_PATH", "value": "/python/lib"},
        {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
        {"name": "STORAGE_EMULATOR_HOST", "value": gcs.URL},
    ]
    for number, (inside, outside) in enumerate(MOUNTED.items()):
        container["volumeMounts"].append({"name": f"machine-{number}", "mountPath": inside, "readOnly": True})
        pod["volumes"].append({"name": f"machine-{number}", "hostPath": {"path": str(outside.resolve())}})
    return manifest


@pytest.fixture(scope="module")
def deployed(lab_variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliRunner]:
    """Dev with the accounts, the configuration and the CronJob."""
    folder = tmp_path_factory.mktemp("cronjob")
    with deployed_to(fresh_dev(lab_variables).with_config(folder, health={"acknowledged": KNOWN}), "health") as runner:
        yield runner


@contextmanager
def deployed_to(runner: CliRunner, name: str) -> Iterator[CliRunner]:
    """The CronJob ``name`` in an environment, with its account and the configuration; all of it goes afterwards."""
    folder = runner.config_dir
    accounts = Accounts.made(runner, folder)
    kubeconfig = (DEPLOY / "in-cluster.kubeconfig").read_text().replace("tomoda-prod", "lab-dev")
    files = {"Pulumi.dev.yaml": (folder / "Pulumi.dev.yaml").read_text(), "kubeconfig": kubeconfig}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "postgres-dr-config", "namespace": "data"}}
    cronjob = stand_in(yaml.safe_load((DEPLOY / f"{name}-cronjob.yaml").read_text()))
    manifests = yaml.safe_dump_all([{**config, "data": files}, cronjob])
    runner.apply(manifests)
    yield runner
    runner.delete(manifests)
    accounts.remove()


def ran(runner: CliRunner, name: str, *, of: str = "health", seconds: float = HANG_SECONDS) -> tuple[str, str]:
    """How a Job that is made of a CronJob ended, and what it said."""
    runner.kubectl("create", "job", name, f"--from=cronjob/postgres-dr-{of}", *NAMESPACE)

    def ended() -> list[str]:
        status = json.loads(runner.kubectl("get", "job", name, *NAMESPACE, "-o", "json"))["status"]
        return [one["type"] for one in status.get("conditions") or () if one["type"] in {"Complete", "Failed"}]

    wait_for(ended, seconds)
    said = runner.kubectl("logs", f"job/{name}", *NAMESPACE)
    outcome = ended()[0]
    runner.kubectl("delete", "job", name, *NAMESPACE)
    return outcome, said


def test_a_healthy_database_lets_the_job_succeed(deployed: CliRunner) -> None:
    outcome, said = ran(deployed, "health-of-a-good-week")
    assert (outcome, said.splitlines()[0].partition(" - ")[0]) == ("Complete", "DR OK"), said
    assert "unknown" not in said, "its account is allowed all that a health check asks"


def test_a_finding_lets_it_fail_and_is_in_its_log(deployed: CliRunner) -> None:
    schedule = ("scheduledbackup/postgres-dev", *NAMESPACE, "--type", "merge", "-p")
    deployed.kubectl("patch", *schedule, '{"spec":{"suspend":true}}')
    try:
        outcome, said = ran(deployed, "health-of-a-bad-week")
    finally:
        deployed.kubectl("patch", *schedule, '{"spec":{"suspend":null}}')
    assert outcome == "Failed"
    assert said.startswith("DR WARNING - dev: schedule"), said
