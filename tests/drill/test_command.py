"""``dr drill`` as it is typed, up to where something would be made."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dr.main import run
from tests.support.builders import cluster_object, lease_object
from tests.support.doubles import Wire, nothing_changed

CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/data/leases/postgres-dr-prod"
Drilling = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def drilled(place: Path, capsys: pytest.CaptureFixture[str]) -> Drilling:
    """``dr drill --env prod --json``: its exit code and its document."""

    def drill(*words: str) -> tuple[int, dict[str, Any]]:
        code = run(["drill", "--env", "prod", "--config-dir", str(place), "--json", *words])
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return code, document

    return drill


def codes(document: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in document["problems"]]


def test_the_plan_is_shown_and_nothing_is_touched(drilled: Drilling, wire: Wire) -> None:
    code, document = drilled("--dry-run")
    assert code == 0
    plan = document["plan"]
    assert [step["key"] for step in plan["steps"]] == ["recover", "verify", "examine", "remove-scratch"]
    assert plan["facts"]["Base backup"].startswith("20240501T030000")
    assert nothing_changed(wire)


def test_it_looks_at_nothing_of_the_workloads_or_of_argo_cd(drilled: Drilling, wire: Wire) -> None:
    drilled("--dry-run")
    asked = " ".join(request.path for request in wire.asked)
    assert not any(kind in asked for kind in ("deployments", "cronjobs", "argoproj", "horizontalpodautoscalers"))


def test_what_is_left_of_an_earlier_one_is_in_the_plan_and_its_name_is_used_again(
    drilled: Drilling, wire: Wire
) -> None:
    left = cluster_object("postgres-prod-drill")
    left["metadata"]["labels"] = {"postgres-dr/scratch": "drill", "postgres-dr/environment": "prod"}
    wire.on(CLUSTERS, {"items": [cluster_object(), left]})
    _, document = drilled("--dry-run")
    steps = document["plan"]["steps"]
    assert [step["key"] for step in steps][:2] == ["orphans", "recover"]
    assert "postgres-prod-drill " in steps[1]["detail"]
    selectors = [asked.query.get("labelSelector") for asked in wire.asked if asked.path == CLUSTERS]
    assert "postgres-dr/scratch=drill,postgres-dr/environment=prod" in selectors


def test_what_is_left_of_an_earlier_one_stays_where_the_service_leads_to_it(drilled: Drilling, wire: Wire) -> None:
    """E31."""
    left = cluster_object("postgres-prod-drill")
    left["metadata"]["labels"] = {"postgres-dr/scratch": "drill", "postgres-dr/environment": "prod"}
    wire.on(CLUSTERS, {"items": [cluster_object(), left]})
    host = "postgres-prod-drill-rw.data.svc.cluster.local"
    wire.on("/api/v1/namespaces/data/services/prod-postgres", {"metadata": {}, "spec": {"externalName": host}})
    _, document = drilled("--dry-run")
    assert "orphans" not in [step["key"] for step in document["plan"]["steps"]]


def test_while_somebody_is_at_work_it_is_refused(drilled: Drilling, wire: Wire) -> None:
    held = lease_object("bob@ops-2:8", datetime.now(UTC), seconds=3600)
    wire.on(LEASE, held | {"metadata": {"resourceVersion": "1"}})
    code, document = drilled()
    assert (code, codes(document)) == (4, ["incident-under-way"])
    assert nothing_changed(wire)


def test_a_lease_that_nobody_renews_any_more_is_no_incident(drilled: Drilling, wire: Wire) -> None:
    long_ago = datetime(2024, 5, 1, tzinfo=UTC)
    wire.on(LEASE, lease_object("bob@ops-2:8", long_ago, seconds=0) | {"metadata": {"resourceVersion": "1"}})
    assert drilled("--dry-run")[0] == 0


@pytest.mark.parametrize(
    "words", [("--latest", "--random"), ("--random", "--target-time", "2024-05-01T04:00:00Z")], ids=["two", "other two"]
)
def test_one_target_at_a_time(drilled: Drilling, words: tuple[str, ...]) -> None:
    code, document = drilled(*words)
    assert (code, codes(document)) == (2, ["targets-exclude-each-other"])


def test_a_lot_in_an_archive_of_one_place_is_its_end(drilled: Drilling) -> None:
    code, document = drilled("--random", "--dry-run")
    assert code == 0
    assert document["plan"]["facts"]["Target"] == "the end of the archived WAL"
