"""The infrastructure's stacks under the real engine, with the double of Google: made, found again, and kept.

They need of the lab only its Pulumi; what the double itself does is tested without an engine in ``tests/lab``.
"""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_command
import pulumi_gcp as gcp
import pytest
from pulumi.automation import OpType

from dr.config.infrastructure import Durable, Platform
from dr.stacks.resources import durable_resources, platform_resources
from lab.environment import environment
from lab.gcp import faults, resource_types
from lab.gcp.faults import Fault
from tests.e2e.cloud_stack import CloudStack, Program
from tests.support.google import Google, serving_google
from tests.support.infra_fixtures import PROJECT, a_durable, a_platform, durable_document

BUCKET = "backups-of-acme"

# The Automation API leaves event loops and sockets behind, which a command that ends does not notice.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def google(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """A double over an empty cloud, and the lab's Pulumi on the path."""
    monkeypatch.setenv("PATH", environment()["PATH"])
    with serving_google(tmp_path / "cloud.json", project=PROJECT) as found:
        yield found
    gc.collect()  # while the warnings are still let pass


@pytest.fixture
def durable(google: Google, tmp_path: Path) -> CloudStack:
    return CloudStack(google, "durable", tmp_path / "durable")


@pytest.fixture
def platform(google: Google, tmp_path: Path) -> CloudStack:
    return CloudStack(google, "platform", tmp_path / "platform")


def a_small_platform(**changes: Any) -> Platform:
    """Without the operator's kubeconfig: a gcloud of the machine has nothing to do with this."""
    return a_platform(operatorCredentials=False, **changes)


def an_exposed_cluster() -> Platform:
    """One whose deletion the provider does not refuse."""
    return a_small_platform(cluster={"name": "acme", "controlPlane": "172.16.0.0/28", "deletionProtection": False})


def in_use(google: Google) -> None:
    """There are backups in the bucket."""
    with google.cloud.change() as contents:
        contents.content[BUCKET] = 3


def is_there(google: Google) -> bool:
    contents = google.contents
    return BUCKET in contents.of(resource_types.BUCKET.token) and contents.content[BUCKET] == 3


def test_both_stacks_come_up_and_a_second_time_nothing_changes(
    google: Google, durable: CloudStack, platform: CloudStack
) -> None:
    # WHEN
    first = durable.declared(a_durable()), platform.declared(a_small_platform())
    before = google.contents
    second = (
        durable.declared(a_durable(), refresh=True, expect_no_changes=True),
        platform.declared(a_small_platform(), refresh=True, expect_no_changes=True),
    )
    # THEN
    assert [outcome.failure for outcome in (*first, *second)] == [""] * 4
    assert google.contents.objects == before.objects
    assert google.contents.calls == before.calls
    (cluster,) = google.contents.of(resource_types.CLUSTER.token).values()
    assert cluster["workloadIdentityConfig"] == {"workloadPool": f"{PROJECT}.svc.id.goog"}


@pytest.mark.long
def test_what_is_there_is_imported_without_a_change(google: Google, platform: CloudStack, tmp_path: Path) -> None:
    # GIVEN a platform that this state does not know
    CloudStack(google, "durable", tmp_path / "durable").declared(a_durable())
    assert CloudStack(google, "other", tmp_path / "other").declared(a_small_platform()).failure == ""
    plan = a_small_platform()
    imports = {found.name: found.import_id for found in platform_resources(plan) if found.type in resource_types.KINDS}
    before = google.contents
    # WHEN
    expected = platform.preview(plan, imports)
    outcome = platform.declared(plan, imports)
    # THEN
    assert expected[OpType.IMPORT] == len(imports)
    assert outcome.failure == ""
    assert not {OpType.UPDATE, OpType.REPLACE, OpType.DELETE} & {*expected, *outcome.operations}
    assert google.contents.objects == before.objects


@pytest.mark.long
def test_an_import_that_differs_would_change_what_is_there(google: Google, durable: CloudStack, tmp_path: Path) -> None:
    """So a gate has to see it: the engine imports, and updates in the same run."""
    CloudStack(google, "other", tmp_path / "other").declared(a_durable())
    shorter = a_durable(
        backup={**durable_document()["config"]["postgres-dr:backup"], "retentionDays": 7, "recoveryWindowDays": 7}
    )
    imports = {found.name: found.import_id for found in durable_resources(shorter)}
    assert durable.preview(shorter, imports)[OpType.UPDATE] >= 1
    assert durable.declared(shorter, imports).failure == ""
    (rule,) = google.contents.of(resource_types.BUCKET.token)[BUCKET]["lifecycleRules"]
    assert rule["condition"]["age"] == 7


def _elsewhere() -> Durable:
    return a_durable(backup={**durable_document()["config"]["postgres-dr:backup"], "bucket": "other-backups"})


def test_the_bucket_survives_all_that_the_engine_is_told(google: Google, durable: CloudStack) -> None:
    """Destroyed, as one of a few, left out of the program, under another name: the engine refuses each."""
    assert durable.declared(a_durable()).failure == ""
    in_use(google)
    bucket = durable.urn_of("backup-bucket")
    attempts = (
        durable.destroy(lambda: None),
        durable.destroy(lambda: None, target=[bucket], target_dependents=True),
        durable.up(lambda: None),
        durable.declared(_elsewhere()),
    )
    for outcome in attempts:
        assert "protect" in outcome.failure
        assert is_there(google)


@pytest.mark.long
def test_the_bucket_survives_whoever_takes_the_protection_off(google: Google, durable: CloudStack) -> None:
    """Then the state forgets it, and it stays."""
    assert durable.declared(a_durable()).failure == ""
    in_use(google)
    durable.unprotect()
    assert durable.destroy(lambda: None).failure == ""
    assert is_there(google)


@pytest.mark.long
@pytest.mark.parametrize(("policy", "words"), [("PREVENT", "deletion_policy"), ("DELETE", "force_destroy")])
def test_provider_and_google_refuse_by_themselves(google: Google, durable: CloudStack, policy: str, words: str) -> None:
    """A bucket without any lock of the engine's."""

    def program() -> None:
        gcp.storage.Bucket("backups", name=BUCKET, location="EUROPE-WEST4", deletion_policy=policy)

    assert durable.up(program).failure == ""
    in_use(google)
    for attempt in (durable.destroy, durable.up):
        assert words in attempt(lambda: None).failure
        assert is_there(google)


@pytest.mark.long
def test_a_cluster_goes_only_after_an_up_that_says_so(
    google: Google, durable: CloudStack, platform: CloudStack
) -> None:
    durable.declared(a_durable())
    assert platform.declared(a_small_platform()).failure == ""
    platform.unprotect()
    assert "deletion_protection is set to true" in platform.destroy(lambda: None).failure
    assert google.contents.of(resource_types.CLUSTER.token) != {}
    assert platform.declared(an_exposed_cluster()).failure == ""
    platform.unprotect()
    assert platform.destroy(lambda: None).failure == ""
    assert google.contents.of(resource_types.CLUSTER.token) == {}
    assert google.contents.of(resource_types.NETWORK.token) == {}


@pytest.mark.long
@pytest.mark.parametrize("answer", ["quota", "conflict", "api-disabled", "unavailable", "permission"])
def test_what_google_refuses_is_told_in_its_words_and_gone_on_with(
    google: Google, platform: CloudStack, answer: str
) -> None:
    # GIVEN
    plan = a_small_platform()
    with google.cloud.change() as contents:
        faults.inject(contents, Fault(answer=answer, on=resource_types.CLUSTER.token, operation="create", times=1))
    google.engine.create(resource_types.ACCOUNT, {"accountId": "db-backups", "project": PROJECT})
    # WHEN
    outcome = platform.declared(plan)
    # THEN
    assert "googleapi: Error " in outcome.failure
    assert google.contents.of(resource_types.CLUSTER.token) == {}
    assert platform.declared(plan).failure == ""
    made = [call for call in google.contents.calls if call.startswith("create")]
    assert len(made) == len(set(made)), "something was made twice"


@pytest.mark.long
def test_what_is_gone_is_made_again(google: Google, platform: CloudStack) -> None:
    google.engine.create(resource_types.ACCOUNT, {"accountId": "db-backups", "project": PROJECT})
    assert platform.declared(a_small_platform()).failure == ""
    with google.cloud.change() as contents:
        contents.of(resource_types.CLUSTER.token).clear()
        contents.of(resource_types.NODE_POOL.token).clear()
        contents.calls.clear()
    assert platform.declared(a_small_platform(), refresh=True).failure == ""
    made = sorted(call.split(" ")[1] for call in google.contents.calls)
    assert made == sorted(
        [resource_types.CLUSTER.token, resource_types.NODE_POOL.token, resource_types.NODE_POOL.token]
    )


@pytest.mark.long
def test_a_command_runs_once_and_again_for_another_trigger(durable: CloudStack, tmp_path: Path) -> None:
    def program(trigger: str) -> Program:
        def declare() -> None:
            command = f"echo ran >> {tmp_path}/said; echo out"
            said = pulumi_command.local.Command("say", create=command, triggers=[trigger])
            pulumi.export("said", said.stdout)

        return declare

    for trigger in ("one", "one", "two"):
        assert durable.up(program(trigger)).failure == ""
    assert (tmp_path / "said").read_text().split() == ["ran", "ran"]
