"""``dr diagnose``, in this process."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dr.main import run
from tests.support.builders import config_document
from tests.support.doubles import Wire, closed_port, kube_status, write_kubeconfig


def _diagnose(folder: Path, *more: str) -> int:
    return run(["diagnose", "--config-dir", str(folder), "--env", "prod", *more])


def _json(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    assert _diagnose(folder, "--json") == 0
    return json.loads(capsys.readouterr().out)


def _configure(folder: Path, **keys: Any) -> None:
    access = {"context": "acme-prod", "kubeconfig": str(folder / "config")}
    document = config_document(kubernetes=access, **keys)
    (folder / "Pulumi.prod.yaml").write_text(yaml.safe_dump(document))


@pytest.fixture
def well(place: Path, wire: Wire) -> Path:
    """Everything answers, and nothing is wrong."""
    _configure(place, smokeTestUrl=f"{wire.url}/health", cloudStatusUrl=f"{wire.url}/incidents.json")
    service = {"metadata": {}, "spec": {"externalName": "postgres-prod-rw.data.svc.cluster.local"}}
    wire.on("/api/v1/namespaces/data/services/prod-postgres", service)
    wire.on("/health", b"fine")
    wire.on("/incidents.json", [])
    for path in ("/api/v1/nodes", "/api/v1/namespaces/data/pods", "/api/v1/namespaces/prod/pods"):
        wire.on(path, {"items": []})
    return place


def test_of_a_platform_that_is_well_it_says_so_and_only_looks(
    well: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _json(well, capsys)["findings"] == []
    assert {asked.method for asked in wire.asked} == {"GET"}
    assert _diagnose(well) == 0
    assert "Nothing of the failure table is seen." in capsys.readouterr().out


def test_each_part_is_found(well: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    # GIVEN a node that is not ready, a database's pod that ended in damage, and a workload that misses its table
    wire.on("/api/v1/nodes", {"items": [{"metadata": {"name": "n1"}}]})
    status = {"containerStatuses": [{"name": "postgres", "restartCount": 4, "state": {"waiting": {"reason": "X"}}}]}
    labels = {"cnpg.io/cluster": "postgres-prod"}
    pod = {"metadata": {"name": "postgres-prod-1", "namespace": "data", "labels": labels}, "status": status}
    wire.on("/api/v1/namespaces/data/pods", {"items": [pod]})
    wire.on("/api/v1/namespaces/data/pods/postgres-prod-1/log", b"PANIC:  could not locate a valid checkpoint record")
    wire.on("/health", b'relation "users" does not exist', status=503)
    # THEN each is a row, the worst first
    found = [finding["row"] for finding in _json(well, capsys)["findings"]]
    assert found == ["data-corruption", "table-drop", "node-not-ready"]


def test_it_works_when_everything_is_down(
    well: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = closed_port()
    write_kubeconfig(well / "config", {"acme-prod": dead})
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", dead)
    _configure(well, smokeTestUrl=f"{dead}/health", cloudStatusUrl=f"{dead}/incidents.json")
    assert [finding["row"] for finding in _json(well, capsys)["findings"]] == ["this-machine"]
    assert _diagnose(well) == 0
    told = capsys.readouterr().out
    assert "Not seen from this machine, perhaps" in told
    assert "the application answers nothing" in told


def test_it_works_without_a_kubeconfig(well: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (well / "config").unlink()
    found = _json(well, capsys)
    assert [finding["row"] for finding in found["findings"]] == ["this-machine"]
    assert "there is no kubeconfig" in found["findings"][0]["seen"]


def test_what_this_user_may_not_see_is_a_note_and_the_rest_is_told(
    well: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    wire.on("/api/v1/nodes", kube_status(403, "nodes is forbidden"), status=403)
    wire.on("/apis/postgresql.cnpg.io/v1/namespaces/data/clusters", b"404 page not found\n", status=404)
    found = _json(well, capsys)
    assert [finding["row"] for finding in found["findings"]] == ["cluster-destroyed"]
    assert found["notes"] == ["could not list the nodes: nodes is forbidden"]


@pytest.mark.parametrize(
    ("status", "row"), [(500, "control-plane"), (503, "control-plane"), (403, "this-machine"), (200, "this-machine")]
)
def test_an_api_that_answers_nothing_is_no_all_clear(
    well: Path, wire: Wire, capsys: pytest.CaptureFixture[str], status: int, row: str
) -> None:
    """O3."""
    for (method, path), _ in list(wire.answers.items()):
        if path.startswith("/api"):
            body = b"<html>" if status == 200 else kube_status(status, "etcdserver: request timed out")
            wire.on(path, body, status=status, method=method)
    assert [finding["row"] for finding in _json(well, capsys)["findings"]] == [row]
    _diagnose(well)
    told = capsys.readouterr().out
    assert "NOT SEEN: the Service, the nodes, the Clusters, the pods, the record" in told
    assert "Nothing of the failure table is seen." not in told


def test_what_this_user_may_not_see_is_no_all_clear(well: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    """O3."""
    wire.on("/api/v1/nodes", kube_status(403, "nodes is forbidden"), status=403)
    _diagnose(well)
    told = capsys.readouterr().out
    assert "NOT SEEN: the nodes" in told
    assert "of the rest nothing is known" in told


def test_another_environments_context_is_refused(well: Path) -> None:
    assert _diagnose(well, "--context", "acme-dev") == 2
