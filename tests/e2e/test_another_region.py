"""A whole region is out, with the bucket of the backups in it: the platform is built in another, from a copy.

The double of Google holds both regions; its cluster is the lab. What is real is Pulumi with its states, Argo CD,
CloudNativePG, and the objects of the copy. The tests are the chapters of one story.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from lab import paths
from lab.gcp import component, resource_types
from lab.platform import gcs
from tests.e2e.cli_runner import CliRunner, clone_of_git, lab
from tests.e2e.pulumi_cli import Hand
from tests.e2e.test_rebuild import AGREED, REBUILT_WITHIN, Loss, lose, objects_of_bucket
from tests.support.repositories import git
from tests.support.waiting import HANG_SECONDS

pytestmark = pytest.mark.long

REFUSED, RECOVERY = 4, 7
LOST, ELSEWHERE, ZONE = "asia-northeast1", "asia-northeast2", "asia-northeast2-a"
COPY, COPY_STACK, PLATFORM_STACK = f"{gcs.BUCKET}-osaka", "durable-osaka", f"platform-{ELSEWHERE}"
COMMAND = ("full-rebuild", "--env", "prod")
MOVED = (*COMMAND, "--region", ELSEWHERE, "--zone", ZONE, "--durable", COPY_STACK)
KEY = "postgres-dr:"


def changed(folder: Path, stack: str, into: str, **keys: object) -> None:
    """Write ``Pulumi.<into>.yaml``: that of ``stack`` with some keys changed, as one does who copies the file."""
    document = yaml.safe_load((folder / f"Pulumi.{stack}.yaml").read_text())
    for name, value in keys.items():
        before = document["config"].get(KEY + name)
        merged = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
        document["config"][KEY + name] = merged
    (folder / f"Pulumi.{into}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


@dataclass(frozen=True)
class Outage:
    """The region is out, and the cluster with it. ``before`` is what the state of the platform was, and ``calls`` what
    was asked of Google, when it went out.
    """

    loss: Loss
    before: str
    calls: list[str]
    reports: list[dict[str, Any]] = field(default_factory=list)

    def asked(self) -> list[str]:
        """What was asked of Google since."""
        return calls()[len(self.calls) :]


def calls() -> list[str]:
    return lab("google", "calls").splitlines()


def state_of(stack: str) -> str:
    """A stack's resources as Pulumi keeps them."""
    text = (paths.state().pulumi / ".pulumi" / "stacks" / "postgres-dr" / f"{stack}.json").read_text()
    return json.dumps(json.loads(text)["checkpoint"]["latest"]["resources"])


@pytest.fixture(scope="module")
def prepared(lab_variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliRunner]:
    """Before the outage: a platform that Pulumi holds, and the stack of a bucket for the copy in another region."""
    folder = tmp_path_factory.mktemp("configuration")
    runner = CliRunner("prod", lab_variables, Path(lab_variables["DR_CONFIG_DIR"])).with_config(folder)
    backup = {"bucket": COPY, "location": ELSEWHERE.upper(), "holdsAccount": False}
    changed(folder, "durable", COPY_STACK, backup=backup)
    if runner.journal.exists():
        lab("reset")
    lab("gitops", "on")
    yield runner
    runner.end_started()
    lab("up")
    lab("reset")
    shutil.rmtree(paths.state().buckets / COPY, ignore_errors=True)


@pytest.fixture(scope="module")
def hand(prepared: CliRunner, tmp_path_factory: pytest.TempPathFactory) -> Hand:
    """A person at the Pulumi CLI, with the same configuration."""
    found = Hand(prepared, tmp_path_factory.mktemp("checkout"))
    for file in prepared.config_dir.glob("Pulumi.*.yaml"):
        shutil.copy(file, found.folder)
    return found


def test_the_bucket_of_the_copy_is_made_by_hand_beforehand(prepared: CliRunner, hand: Hand) -> None:
    # GIVEN a platform that is well, and that Pulumi holds
    held = prepared.dr(*COMMAND, *AGREED)
    assert held.code == 0, held.document
    # WHEN
    hand.stack = f"organization/postgres-dr/{COPY_STACK}"
    hand.there_is_a_stack()
    before = calls()
    said = hand.up()
    # THEN bucket and grants are made, and nothing else
    asked = calls()[len(before) :]
    assert [call.split()[1].rpartition(":")[2] for call in asked] == ["Bucket", "BucketIAMMember", "BucketIAMMember"], (
        said
    )
    assert all(COPY in call for call in asked)
    assert component.cloud(paths.state()).read().of(resource_types.BUCKET.token)[COPY]["location"] == ELSEWHERE.upper()
    assert hand.pulumi("preview", "--expect-no-changes").returncode == 0


@pytest.fixture(scope="module")
def outage(prepared: CliRunner, hand: Hand) -> Outage:
    """The cluster is lost; what prod had archived is in the copy."""
    loss = lose(prepared)
    buckets = paths.state().buckets
    shutil.copytree(buckets / gcs.BUCKET / "prod", buckets / COPY / "prod", dirs_exist_ok=True)
    return Outage(loss, state_of("platform"), calls())


def test_without_the_copy_it_is_refused_as_the_backups_are_out_too(outage: Outage) -> None:
    outcome = outage.loss.runner.dr(*COMMAND, "--region", ELSEWHERE, *AGREED)
    assert (outcome.code, outcome.problem_codes) == (REFUSED, ["bucket-in-lost-region"]), outcome
    assert "--durable" in outcome.document["problems"][0]["remedy"]
    assert outage.asked() == []


def test_a_git_that_still_names_the_lost_bucket_is_found_out_before_anything_is_recovered(
    outage: Outage, tmp_path: Path
) -> None:
    # GIVEN somebody who does not wait for Git to be corrected
    hasty = outage.loss.runner.with_config(tmp_path, timeouts={"rebuildMinutes": 0.5})
    # THEN
    outcome = hasty.finish(hasty.start(*MOVED, *AGREED), REBUILT_WITHIN)
    assert (outcome.code, outcome.problem_codes) == (RECOVERY, ["git-names-another-bucket"]), outcome
    assert COPY in outcome.document["problems"][0]["remedy"]
    assert "recovered" not in outage.loss.runner.kubectl("get", "cluster", "-n", "data", "-o", "name")


def test_it_is_built_there_with_every_row_that_was_archived(outage: Outage) -> None:
    # GIVEN Git's manifests corrected
    clone = clone_of_git()
    for file in clone.glob("k8s/envs/*/middleware/postgres/manifests/cluster.yaml"):
        file.write_text(file.read_text().replace(f"gs://{gcs.BUCKET}/", f"gs://{COPY}/"))
    git(clone, "commit", "-qam", "Archive to the bucket in Osaka")
    git(clone, "push", "-q")
    # WHEN
    outcome = outage.loss.rebuild("resume", "--env", "prod", *AGREED)
    # THEN
    assert outcome.code == 0, outcome
    outage.reports.append(outcome.document)
    outage.loss.assert_all_is_back()
    serving = outage.loss.runner.cluster(outage.loss.serving()) or {}
    assert serving["spec"]["backup"]["barmanObjectStore"]["destinationPath"] == f"gs://{COPY}/prod"


def test_the_region_that_is_out_is_as_it_was_in_the_state_and_at_google(outage: Outage) -> None:
    assert state_of("platform") == outage.before
    assert not [call for call in outage.asked() if f"/{LOST}/" in call or call.startswith("delete ")]
    assert objects_of_bucket() == outage.loss.objects
    contents = component.cloud(paths.state()).read()
    (cluster,) = contents.of(resource_types.CLUSTER.token)
    networks = {found["name"] for found in contents.of(resource_types.NETWORK.token).values()}
    assert f"/locations/{ZONE}/clusters/" in cluster
    assert networks == {"tomoda-vpc", f"tomoda-vpc-{ELSEWHERE}"}


def test_a_second_time_there_is_nothing_to_do(outage: Outage) -> None:
    before = calls()
    outcome = outage.loss.rebuild(*MOVED, *AGREED)
    assert outcome.code == 0, outcome
    assert calls() == before


def test_it_is_made_the_home_by_what_the_documentation_has_one_write(outage: Outage, hand: Hand) -> None:
    # GIVEN the files as docs/rebuild.md says
    runner, folder = outage.loss.runner, outage.loss.runner.config_dir
    written = Path(outage.reports[0]["stackFile"])
    assert written.name == f"Pulumi.{PLATFORM_STACK}.yaml"
    shutil.copy(written, folder)
    stacks = {"durable": COPY_STACK, "platform": PLATFORM_STACK}
    changed(folder, "prod", "prod", infrastructure=stacks, backup={"bucket": COPY})
    # THEN nobody finds a difference
    before = calls()
    plain = outage.loss.rebuild(*COMMAND, *AGREED)
    assert plain.code == 0, plain
    assert calls() == before
    for stack in (PLATFORM_STACK, COPY_STACK):
        shutil.copy(folder / f"Pulumi.{stack}.yaml", hand.folder)
        hand.stack = f"organization/postgres-dr/{stack}"
        done = hand.pulumi("preview", "--expect-no-changes")
        assert done.returncode == 0, done.stdout + done.stderr
    # AND the database is recovered from the bucket in that region
    window = runner.dr("window", "--env", "prod").document
    assert window["place"] == f"gs://{COPY}/prod"
    assert window["serving"] == outage.loss.serving()
    assert httpx.get(outage.loss.health, timeout=HANG_SECONDS).status_code == httpx.codes.OK
