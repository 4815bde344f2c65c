"""``dr migrate-to-plugin`` as it is typed: a branch in Git, and nothing else anywhere."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dr.main import run
from tests.migrate.test_plan import BACKUP, CLUSTER
from tests.support.builders import a_record, a_recovered, an_entry, config_map_of
from tests.support.doubles import Wire, nothing_changed
from tests.support.repositories import git

CONFIG_MAP = "/api/v1/namespaces/data/configmaps/postgres-dr-prod"
SERVICE = {"metadata": {"name": "barman-cloud", "namespace": "cnpg-system"}}


@pytest.fixture
def checkout(place: Path, wire: Wire, own_git: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that declares the source, an environment that knows where, and the plugin in the cluster."""
    monkeypatch.setenv("PATH", f"{place / 'bin'}:/usr/bin:/bin")
    config = place / "Pulumi.prod.yaml"
    document = yaml.safe_load(config.read_text())
    document["config"]["postgres-dr:git"] = {"manifests": "db"}
    config.write_text(yaml.safe_dump(document))
    wire.on("/api/v1/services", {"items": [SERVICE]})
    ready = {"addresses": ["10.0.0.1"], "conditions": {"ready": True}}
    slices = {"items": [{"metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": [ready]}]}
    wire.on("/apis/discovery.k8s.io/v1/namespaces/cnpg-system/endpointslices", slices)
    folder = place / "platform"
    (folder / "db").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "db" / "cluster.yaml").write_text(CLUSTER)
    (folder / "db" / "backup.yaml").write_text(BACKUP)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def migrated(capsys: pytest.CaptureFixture[str], checkout: Path, *words: str) -> tuple[int, dict[str, Any]]:
    where = ["--config-dir", str(checkout.parent), "--checkout", str(checkout)]
    code = run(["migrate-to-plugin", "--env", "prod", *where, *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_branch_is_written_and_the_cluster_and_the_working_tree_are_left_alone(
    checkout: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = migrated(capsys, checkout)
    assert code == 0, document
    assert (document["branch"], document["dryRun"]) == ("postgres-dr/prod-plugin", False)
    assert document["files"] == ["db/backup.yaml", "db/cluster.yaml", "db/objectstore.yaml"]
    changed = git(checkout, "diff", "--name-only", "HEAD", document["branch"]).splitlines()
    assert changed == document["files"]
    assert git(checkout, "status", "--porcelain") == ""
    assert git(checkout, "log", "-1", "--format=%s", document["commit"]).endswith("archives by the Barman Cloud plugin")
    assert nothing_changed(wire)


def test_given_twice_it_is_the_same_commit(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (_, first), (code, again) = migrated(capsys, checkout), migrated(capsys, checkout)
    assert (code, again["commit"]) == (0, first["commit"])


def test_a_dry_run_writes_nothing(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = migrated(capsys, checkout, "--dry-run")
    assert (code, document["commit"], len(document["changes"])) == (0, "", 4)
    assert git(checkout, "branch", "--list", "postgres-dr/*") == ""


def test_a_plugin_that_is_not_there_yet_comes_first_of_what_is_to_be_seen_to(
    checkout: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    wire.on("/api/v1/services", {"items": []})
    code, document = migrated(capsys, checkout)
    assert code == 0
    assert "not installed" in document["checks"][0]


def test_what_was_migrated_is_not_migrated_again(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, document = migrated(capsys, checkout)
    git(checkout, "merge", "-q", document["branch"])
    code, again = migrated(capsys, checkout)
    assert (code, [problem["code"] for problem in again["problems"]]) == (4, ["plugin-used-already"])


@pytest.mark.parametrize("code", ["operation-unfinished", "not-finalized"])
def test_in_the_middle_of_an_incident_it_is_refused(
    checkout: Path, wire: Wire, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    record = a_record(a_recovered())
    if code == "operation-unfinished":
        record = record.model_copy(update={"operations": (an_entry(),)})
    else:
        spec = {"type": "ExternalName", "externalName": a_recovered().host}
        wire.on("/api/v1/namespaces/data/services/prod-postgres", {"metadata": {}, "spec": spec})
    wire.on(CONFIG_MAP, config_map_of(record))
    ended, document = migrated(capsys, checkout)
    assert (ended, [problem["code"] for problem in document["problems"]]) == (4, [code])
    assert git(checkout, "branch", "--list", "postgres-dr/*") == ""


def test_where_the_manifests_are_has_to_be_configured(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = checkout.parent / "Pulumi.prod.yaml"
    document = yaml.safe_load(config.read_text())
    del document["config"]["postgres-dr:git"]
    config.write_text(yaml.safe_dump(document))
    ended, said = migrated(capsys, checkout)
    assert (ended, said["problems"][0]["code"]) == (4, "checkout-needed")


def test_for_people_the_changes_and_the_checks_are_printed(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["migrate-to-plugin", "--env", "prod", "--config-dir", str(checkout.parent), "--checkout", str(checkout)]
    assert run(words) == 0
    said = capsys.readouterr().out
    for wanted in ("db/objectstore.yaml: new", "branch postgres-dr/prod-plugin", "See to it:", "python -m dr window"):
        assert wanted in said
