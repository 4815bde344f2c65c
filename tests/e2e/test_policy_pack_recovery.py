"""The policy pack in the real engine, over a recovery stack on the lab: a program that somebody wrote without care."""

from collections.abc import Iterator

import pytest

from tests.e2e.cli_runner import CliRunner, fresh_dev
from tests.e2e.pulumi_cli import Hand

pytestmark = pytest.mark.long

PROGRAM = """
from copy import deepcopy
from dataclasses import replace

from dr.desired.stack_input import declared
from dr.stacks.recovery import declare_recovery_stack
from dr.stacks.settings import environment_of_stack


def third(**places):
    recovered = found.clusters[-1]
    manifest = deepcopy(recovered.manifest)
    manifest["metadata"]["name"] = "postgres-dev-third"
    spec = manifest["spec"]
    spec["bootstrap"]["recovery"]["recoveryTarget"] = {{"targetTime": places.get("target", "{target}")}}
    spec["backup"]["barmanObjectStore"]["serverName"] = places.get("server_name", "postgres-dev-third")
    return replace(found, clusters=(*found.clusters, replace(recovered, manifest=manifest)))


environment = environment_of_stack()
found = declared(environment, preview=True)
declare_recovery_stack(environment, {declaration})
"""
NOBODY = "postgres-dev-third-rw.data.svc.cluster.local"
BREAKING = {
    "traffic-unproven": f"replace(found, external_name={NOBODY!r})",
    "two-writers": "third(server_name='postgres-dev')",
    "target-outside": "third(target='2001-01-01T00:00:00Z')",
}


@pytest.fixture(scope="module")
def moved(lab_variables: dict[str, str]) -> Iterator[tuple[CliRunner, str]]:
    """Dev recovered and switched over, and the target that it was recovered to."""
    dev = fresh_dev(lab_variables)
    target = dev.database_time()
    moved = dev.pitr(target, "--yes", "--switchover")
    assert moved.code == 0, moved
    yield dev, target
    dev.end_started()


@pytest.fixture(scope="module")
def hand(moved: tuple[CliRunner, str], tmp_path_factory: pytest.TempPathFactory) -> Hand:
    return Hand(moved[0], tmp_path_factory.mktemp("checkout"))


def program(hand: Hand, target: str, declaration: str) -> None:
    (hand.folder / "__main__.py").write_text(PROGRAM.format(target=target, declaration=declaration))


def test_what_is_declared_as_it_is_passes(hand: Hand, moved: tuple[CliRunner, str]) -> None:
    program(hand, moved[1], "found")
    passed = hand.pulumi("preview", "--policy-pack", "policy", "--expect-no-changes")
    assert passed.returncode == 0, passed.stdout + passed.stderr


WAYS = [("preview",), ("up", "--yes"), ("up", "--yes", "--skip-preview")]


@pytest.mark.parametrize("rule", BREAKING)
@pytest.mark.parametrize("words", WAYS, ids=" ".join)
def test_what_breaks_a_rule_is_refused_and_nothing_has_changed(
    hand: Hand, moved: tuple[CliRunner, str], rule: str, words: tuple[str, ...]
) -> None:
    dev, target = moved
    program(hand, target, BREAKING[rule])
    before = dev.footprint()
    refused = hand.pulumi(*words, "--policy-pack", "policy")
    assert refused.returncode != 0, refused.stdout
    assert f"{rule}: " in refused.stdout, refused.stdout + refused.stderr
    assert dev.footprint() == before


def test_the_cluster_that_serves_is_not_taken_away_by_any_way(hand: Hand, moved: tuple[CliRunner, str]) -> None:
    """What would go is judged once all is declared, which is before anything goes only where there is a preview."""
    dev, target = moved
    program(hand, target, "replace(found, clusters=())")
    before = dev.footprint()
    for words in WAYS:
        refused = hand.pulumi(*words, "--policy-pack", "policy")
        assert refused.returncode != 0, refused.stdout
        assert "protect" in refused.stdout + refused.stderr, refused.stdout + refused.stderr
    assert hand.pulumi("state", "unprotect", "--all", "--yes").returncode == 0
    for words in WAYS[:2]:
        refused = hand.pulumi(*words, "--policy-pack", "policy")
        assert refused.returncode != 0, refused.stdout
        assert "cluster-serving: " in refused.stdout, refused.stdout + refused.stderr
    assert dev.footprint() == before
