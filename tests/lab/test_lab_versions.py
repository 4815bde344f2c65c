"""The table of versions, the pins of the Go modules, and the manifests agree."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from lab import manifests, versions
from lab.data import content
from lab.data.environments import ENVIRONMENTS, USERS
from lab.images import postgres
from lab.node.readiness import fenced_instances, settled
from lab.paths import SOURCES, Cache
from lab.tools import programs
from lab.tools.toolchain import Toolchain


@pytest.mark.parametrize(
    ("module", "pinned", "wanted"),
    [
        ("kube", "k8s.io/kubernetes", versions.KUBERNETES),
        ("cnpg", "github.com/cloudnative-pg/cloudnative-pg", versions.CNPG),
        ("plugin-barman-cloud", "github.com/cloudnative-pg/plugin-barman-cloud", versions.BARMAN_PLUGIN),
        ("coredns", "github.com/coredns/coredns", versions.COREDNS),
        ("argocd", "github.com/argoproj/argo-cd/v3", versions.ARGOCD),
        ("pulumi", "github.com/pulumi/pulumi/pkg/v3", versions.PULUMI),
        ("pulumi", "github.com/pulumi/pulumi/sdk/v3", versions.PULUMI),
        ("pulumi-language-python", "github.com/pulumi/pulumi/sdk/v3", versions.PULUMI_LANGUAGE_PYTHON),
    ],
)
def test_module_pins_the_version(module: str, pinned: str, wanted: str) -> None:
    text = (SOURCES / "go" / module / "go.mod").read_text()
    assert re.search(rf"^\s*(?:require )?{re.escape(pinned)} v{re.escape(wanted)}\b", text, re.MULTILINE)


def test_fetched_go_is_new_enough_for_every_module() -> None:
    own = tuple(map(int, versions.GO.split(".")))
    for file in (SOURCES / "go").glob("*/go.mod"):
        match = re.search(r"^go (\d+(?:\.\d+)+)$", file.read_text(), re.MULTILINE)
        assert match, file
        assert own >= tuple(map(int, match.group(1).split("."))), file


def test_python_packages_match_the_engine_and_the_provider() -> None:
    assert version("pulumi") == versions.PULUMI
    assert version("pulumi-kubernetes") == versions.PULUMI_KUBERNETES


def test_program_key_follows_flags_and_compiler() -> None:
    cache = Cache(SOURCES)
    one, other = (Toolchain(number, SOURCES / "go", cache) for number in ("1.26.6", "1.26.7"))
    assert programs.KUBE.key(one) == programs.KUBE.key(one)
    assert programs.KUBE.key(one) != programs.KUBE.key(other)
    assert len({program.key(one) for program in (programs.KUBE, programs.COREDNS, programs.PULUMI)}) == 3


def test_barman_is_pinned_with_hashes() -> None:
    text = postgres.REQUIREMENTS.read_text()
    pinned = re.findall(r"^([a-z0-9-]+)==\S+ \\$", text, re.MULTILINE)
    assert "barman" in pinned
    assert "google-cloud-storage" in pinned
    assert len(pinned) == len(re.findall(r"^[a-z]", text, re.MULTILINE)), "a requirement without a hash"


def test_manifests_are_complete_for_each_environment() -> None:
    for environment in ENVIRONMENTS:
        documents = content.objects_of(environment)
        text = yaml.safe_dump_all(documents)
        assert "$" not in text
        kinds = [found["kind"] for found in documents]
        assert kinds.count("Deployment") == 2
        assert {"Cluster", "ScheduledBackup", "Service"} <= set(kinds)


def test_manifest_without_a_value_is_refused() -> None:
    with pytest.raises(KeyError):
        manifests.read(content.MANIFESTS / "postgres" / "backup.yaml", cluster="x")


def test_key_of_the_data_follows_values_and_not_comments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content.key()
    shutil.copytree(content.MANIFESTS, tmp_path / "manifests")
    monkeypatch.setattr(content, "MANIFESTS", tmp_path / "manifests")
    cluster = tmp_path / "manifests" / "postgres" / "cluster.yaml"
    cluster.write_text("# one more\n" + cluster.read_text())
    assert content.key() == before
    cluster.write_text(cluster.read_text().replace("size: 5Gi", "size: 6Gi"))
    assert content.key() != before


def test_seed_makes_as_many_users_as_promised() -> None:
    assert f"generate_series(1, {USERS})" in (content.FOLDER / "seed.sql").read_text()


def test_pod_is_settled_only_when_started_after_the_node() -> None:
    def pod(started: str, ready: str = "True", phase: str = "Running") -> dict[str, object]:
        status = {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"state": {"running": {"startedAt": started}}}],
        }
        return {"metadata": {"name": "x"}, "status": status}

    since = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    assert settled(pod("2026-01-01T12:00:01Z"), since)
    assert not settled(pod("2026-01-01T11:59:59Z"), since), "a status of before the restart counted"
    assert not settled(pod("2026-01-01T12:00:01Z", ready="False"), since)
    assert settled(pod("2026-01-01T12:00:01Z", ready="False"), since, fenced=True), "a fenced instance is never ready"
    assert not settled(pod("2026-01-01T11:59:59Z", ready="False"), since, fenced=True)
    assert settled(pod("2026-01-01T11:00:00Z", phase="Succeeded"), since)
    assert not settled({"metadata": {"name": "x"}, "status": {"phase": "Pending"}}, since)


def test_the_fence_of_a_database_is_read_from_its_annotation() -> None:
    assert fenced_instances({"metadata": {"annotations": {"cnpg.io/fencedInstances": '["*"]'}}}) == ["*"]
    assert fenced_instances({"metadata": {}}) == []
