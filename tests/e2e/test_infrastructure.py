"""What ``dr`` does to the infrastructure's stacks, under the real engine and with the double of Google.

Taking over what Terraform made, finding out what survives, making anew what does not. Of the lab only its Pulumi is
needed.
"""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dr.config.environment import InfrastructureStacks
from dr.config.infrastructure import Infrastructure
from dr.config.load import load_infrastructure
from dr.core.errors import AccessError
from dr.engine.changes import Op
from dr.engine.command import find_pulumi
from dr.engine.infrastructure_stack import InfrastructureStack
from dr.infra.google import take_inventory
from dr.main import run
from dr.stacks.resources import platform_resources
from lab.environment import environment
from lab.gcp import faults, resource_types, seed
from lab.gcp.faults import Fault
from tests.support.google import Google, serving_google
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / "tests" / "support" / "terraform.tfstate.json"
PROJECT = "development-485000"
BUCKET = "tomoda-db-backups-development-485000"
AGREED = ("--yes", "--confirm", PROJECT)

# The Automation API leaves event loops and sockets behind, which a command that ends does not notice.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The repository's configuration. The kubeconfig of an operator has nothing to do with this."""
    for name in ("prod", "dev", "durable"):
        shutil.copy(ROOT / f"Pulumi.{name}.yaml", tmp_path)
    document = yaml.safe_load((ROOT / "Pulumi.platform.yaml").read_text())
    document["config"]["postgres-dr:operatorCredentials"] = False
    (tmp_path / "Pulumi.platform.yaml").write_text(yaml.safe_dump(document))
    return tmp_path


@pytest.fixture
def google(folder: Path, own_home: Path, own_signals: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """The cloud as the old Terraform left it, and the lab's Pulumi on the path."""
    monkeypatch.setenv("PATH", environment()["PATH"])
    with serving_google(folder / "cloud.json", project=PROJECT) as found:
        seed.sow(found.double.google, folder)
        for name, value in found.double.variables().items():
            monkeypatch.setenv(name, value)
        yield found
    gc.collect()  # while the warnings are still let pass


@pytest.fixture
def infrastructure(folder: Path) -> Infrastructure:
    return load_infrastructure(folder, InfrastructureStacks())


def _adopt(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    command = ["adopt", "--env", "prod", "--config-dir", str(folder), "--terraform-state", str(STATE)]
    code = run([*command, *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def _numbers(document: dict[str, Any]) -> dict[str, int]:
    return {stack["stack"]: len(stack["imported"]) for stack in document["stacks"]}


def _previewed_by_hand(stack: str, google: Google, folder: Path) -> subprocess.CompletedProcess[str]:
    """What somebody types who has the same state before him."""
    config = shutil.copy(folder / f"Pulumi.{stack}.yaml", folder / "by-hand.yaml")
    variables = {
        **os.environ,
        **environment(),
        **google.double.variables(),
        "PULUMI_BACKEND_URL": f"file://{folder}/home/state/pulumi",
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        "PULUMI_CONFIG_PASSPHRASE": "",
    }
    command = ["pulumi", "--non-interactive", "preview", "--stack", f"organization/postgres-dr/{stack}"]
    return subprocess.run(
        [*command, "--expect-no-changes", "--config-file", str(config), "--cwd", str(ROOT)],
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_what_terraform_made_is_adopted_and_nothing_of_it_changed(
    google: Google, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # GIVEN
    before = google.contents.objects
    # WHEN
    seen, plan = _adopt(folder, capsys, "--stack", "durable", "--dry-run")
    done, report = _adopt(folder, capsys, "--stack", "durable", *AGREED)
    again, nothing = _adopt(folder, capsys, "--stack", "durable", *AGREED)
    # THEN
    assert (seen, done, again) == (0, 0, 0)
    assert [_numbers(document) for document in (plan, report, nothing)] == [
        {"durable": 4},
        {"durable": 4},
        {"durable": 0},
    ]
    assert "terraform state rm module.backup.google_storage_bucket.backups" in report["nextCommands"]
    assert google.contents.objects == before


@pytest.mark.long
def test_both_stacks_are_adopted_and_by_hand_there_is_only_left_what_is_new(
    google: Google, folder: Path, capsys: pytest.CaptureFixture[str], infrastructure: Infrastructure
) -> None:
    before = google.contents.objects
    code, report = _adopt(folder, capsys, *AGREED)
    assert (code, _numbers(report)) == (0, {"durable": 4, "platform": 14})
    assert {held["address"] for held in report["unknown"]} >= {"helm_release.argocd"}
    assert google.contents.objects == before
    # WHEN the stacks are looked at as a whole
    durable = InfrastructureStack(infrastructure.durable, find_pulumi()).preview()
    platform = InfrastructureStack(infrastructure.platform, find_pulumi()).preview()
    # THEN only the grants for names that are new with this tool are left to be made
    assert not durable.any
    assert {change.op for change in platform.items if change.changes} == {Op.CREATE}
    assert all(change.name.startswith("identity-data-") for change in platform.of(Op.CREATE))
    # ... and `pulumi` by hand says the same of what it holds
    said = _previewed_by_hand("durable", google, folder)
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.long
def test_what_is_there_with_other_values_is_not_adopted(
    google: Google, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # GIVEN a bucket that keeps everything for longer than the file says
    with google.cloud.change() as contents:
        contents.of(resource_types.BUCKET.token)[BUCKET]["lifecycleRules"][0]["condition"]["age"] = 90
    before = google.contents.objects
    # WHEN
    code, said = _adopt(folder, capsys, "--stack", "durable", *AGREED)
    # THEN
    assert (code, said["changed"]) == (4, False)
    (problem,) = said["problems"]
    assert problem["code"] == "adoption-would-change"
    assert "age is 90" in problem["cause"]
    assert "declared 30" in problem["cause"]
    assert google.contents.objects == before


@pytest.mark.long
def test_an_adoption_that_failed_in_between_goes_on(
    google: Google, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # GIVEN that Google refuses in the middle of the import, after the preview
    code, _ = _adopt(folder, capsys, "--stack", "durable", "--dry-run")
    assert code == 0
    with google.cloud.change() as contents:
        faults.inject(contents, Fault(answer="unavailable", on="*Account", operation="update"))
    # WHEN
    failed, said = _adopt(folder, capsys, "--stack", "durable", *AGREED)
    with google.cloud.change() as contents:
        faults.clear(contents)
    done, report = _adopt(folder, capsys, "--stack", "durable", *AGREED)
    # THEN
    assert (failed, said["changed"], said["stopped"]["at"]) == (6, True, "import")
    assert done == 0, report
    assert report["stacks"][0]["vanished"] == []
    assert _adopt(folder, capsys, "--stack", "durable", "--dry-run")[1]["stacks"][0]["imported"] == []


@pytest.mark.long
def test_an_adoption_that_was_killed_goes_on(
    google: Google, folder: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # GIVEN one that is killed while Pulumi is at it, and leaves the state locked
    before = google.contents.objects
    command = [sys.executable, "-m", "dr", "adopt", "--env", "prod", "--config-dir", str(folder), "--stack", "durable"]
    command += ["--terraform-state", str(STATE), *AGREED]
    locks = own_home / "state" / "pulumi" / ".pulumi" / "locks" / "organization" / "postgres-dr" / "durable"
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as killed:
        try:
            wait_for(lambda: list(locks.glob("*.json")))
        finally:
            killed.kill()
    assert killed.returncode == -signal.SIGKILL
    # WHEN
    code, report = _adopt(folder, capsys, "--stack", "durable", *AGREED)
    # THEN
    assert code == 0, report
    assert len(report["nextCommands"]) == 4
    assert list(locks.glob("*.json")) == []
    assert _numbers(_adopt(folder, capsys, "--stack", "durable", "--dry-run")[1]) == {"durable": 0}
    assert google.contents.objects == before


@pytest.mark.long
def test_what_is_gone_is_dropped_from_the_state_and_made_anew_and_what_survives_is_kept(
    google: Google, folder: Path, capsys: pytest.CaptureFixture[str], infrastructure: Infrastructure
) -> None:
    # GIVEN an adopted platform whose cluster is destroyed, with all that was in it
    assert _adopt(folder, capsys, "--stack", "platform", *AGREED)[0] == 0
    with google.cloud.change() as contents:
        contents.of(resource_types.CLUSTER.token).clear()
        contents.of(resource_types.NODE_POOL.token).clear()
    kept = {
        kind: dict(google.contents.of(kind)) for kind in (resource_types.BUCKET.token, resource_types.NETWORK.token)
    }
    # WHEN
    stack = InfrastructureStack(infrastructure.platform, find_pulumi())
    found = take_inventory(stack)
    # THEN
    lost = {"cluster", "pool-on-demand", "pool-spot"}
    assert {resource.name for resource in found.dropped} == lost
    assert found.imports == {}
    assert lost < {resource.name for resource in found.made}
    # WHEN
    stack.drop(found.drops)
    stack.result(120)
    assert {change.op for change in stack.preview(found.imports).items if change.changes} == {Op.CREATE}
    stack.up(found.imports)
    stack.result(300)
    # THEN everything is there again, and what survived is as it was
    assert take_inventory(stack).made == ()
    assert len(take_inventory(stack).kept) == len(platform_resources(infrastructure.platform))
    assert {kind: google.contents.of(kind) for kind in kept} == kept


@pytest.mark.parametrize("answer", ["unavailable", "permission", "api-disabled"])
def test_while_google_does_not_answer_nothing_is_taken_for_gone(
    google: Google, infrastructure: Infrastructure, answer: str
) -> None:
    with google.cloud.change() as contents:
        faults.inject(contents, Fault(answer=answer, on="*container*", operation="read"))
    with pytest.raises(AccessError) as refused:
        take_inventory(InfrastructureStack(infrastructure.platform, find_pulumi()))
    assert refused.value.code == "survey-unproven"
    assert "GKE cluster tomoda" in refused.value.cause
