"""``dr status``, in this process."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from dr.core.history import Outcome
from dr.main import run
from tests.support.builders import (
    NOW,
    SOURCE_HOST,
    a_holder,
    a_record,
    a_recovered,
    an_entry,
    cluster_object,
    config_map_of,
    lease_object,
    object_of,
)
from tests.support.doubles import Wire, a_dead_process, kube_status

CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
SERVICE = "/api/v1/namespaces/data/services/prod-postgres"
RECORD = "/api/v1/namespaces/data/configmaps/postgres-dr-prod"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/data/leases/postgres-dr-prod"


def _status(folder: Path, *more: str) -> int:
    return run(["status", "--config-dir", str(folder), "--env", "prod", *more])


def _json(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    assert _status(folder, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_it_answers_without_an_engine_and_only_looks(
    place: Path, wire: Wire, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    told = _json(place, capsys)
    assert [cluster["name"] for cluster in told["clusters"]] == ["postgres-prod"]
    assert told["workloads"] == {"api": 3, "worker": 3}
    assert told["service"]["externalName"] == "old.test"
    assert {asked.method for asked in wire.asked} == {"GET"}


def test_the_clusters_of_other_environments_are_left_out(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    others = [cluster_object(name) for name in ("postgres-dev", "serving", "undeclared")]
    ours = [cluster_object(), object_of(a_recovered()), object_of(a_recovered("again"))]
    wire.on(CLUSTERS, {"items": [*others, *ours]})
    wire.on(RECORD, config_map_of(a_record(a_recovered("again"))))
    wire.on(SERVICE, {"metadata": {}, "spec": {"externalName": "serving-rw.data.svc.cluster.local"}})
    found = {cluster["name"]: cluster["serves"] for cluster in _json(place, capsys)["clusters"]}
    assert found == {"postgres-prod": False, "postgres-prod-recovered": False, "again": False, "serving": True}


def test_what_was_done_and_where_it_stopped_is_told(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = an_entry().step_started("fence", NOW).over(Outcome.FAILED, NOW, "still serving")
    wire.on(RECORD, config_map_of(a_record().with_operation(entry)))
    told = _json(place, capsys)
    assert told["operations"][-1]["cause"] == "still serving"
    assert told["next"][0]["command"] == f"python -m dr resume --env prod --config-dir {place}"


def test_who_is_at_work_is_told(place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    wire.on(LEASE, lease_object("bob@ops-2:8"))
    assert _json(place, capsys)["atWork"] == "bob@ops-2:8"


def test_a_process_of_this_machine_that_died_is_not_at_work(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    wire.on(LEASE, lease_object(str(a_holder(pid=a_dead_process(), host=socket.gethostname()))))
    assert _json(place, capsys)["atWork"] == ""


def test_a_service_and_a_deployment_that_are_missing_are_no_failure(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (SERVICE, "/apis/apps/v1/namespaces/prod/deployments/worker"):
        wire.on(path, kube_status(404, "not found", name="x"), status=404)
    told = _json(place, capsys)
    assert told["service"]["externalName"] is None
    assert told["workloads"] == {"api": 3, "worker": None}


def test_in_prose_it_ends_with_the_next_command(place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    wire.on(CLUSTERS, {"items": [cluster_object(), object_of(a_recovered())]})
    wire.on(SERVICE, {"metadata": {}, "spec": {"externalName": SOURCE_HOST}})
    wire.on(RECORD, config_map_of(a_record(a_recovered()).with_verified("postgres-prod-recovered", 7)))
    assert _status(place) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert (
        lines[lines.index("Next") + 1]
        == f"python -m dr switchover --env prod --config-dir {place}   # to move the traffic"
    )


def test_an_api_server_that_refuses_is_no_access(place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    wire.on(LEASE, kube_status(401, "Unauthorized"), status=401)
    assert _status(place, "--json") == 5
    assert json.loads(capsys.readouterr().out)["problems"][0]["code"] == "token-expired"


def test_an_unknown_environment_is_a_fault_of_the_configuration(place: Path, wire: Wire) -> None:
    assert run(["status", "--config-dir", str(place), "--env", "staging"]) == 3
    assert wire.asked == []
