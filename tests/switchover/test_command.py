"""``dr switchover`` and ``dr rollback``, in this process, up to the point where something would change."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dr.main import run
from dr.run.record import Record
from tests.support.builders import (
    NOW,
    RECOVERED_HOST,
    SOURCE_HOST,
    a_record,
    a_recovered,
    an_entry,
    cluster_object,
    config_map_of,
    lease_object,
    object_of,
)
from tests.support.doubles import REVIEWS, Wire, kube_status, nothing_changed, write_pulumi

CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
RECOVERED = f"{CLUSTERS}/postgres-prod-recovered"
SERVICE = "/api/v1/namespaces/data/services/prod-postgres"
RECORD = "/api/v1/namespaces/data/configmaps/postgres-dr-prod"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/data/leases/postgres-dr-prod"
VERIFIED = a_record(a_recovered()).with_verified("postgres-prod-recovered", 700)
MOVED = VERIFIED.leaving(SOURCE_HOST, towards=RECOVERED_HOST).pointing_to(RECOVERED_HOST)


def _service(wire: Wire, host: str | None) -> None:
    wire.on(SERVICE, {"metadata": {}, "spec": {"externalName": host}})


def _record(wire: Wire, record: Record) -> None:
    wire.on(RECORD, config_map_of(record))


def _gone(wire: Wire, path: str) -> None:
    wire.on(path, kube_status(404, "not found", name="x"), status=404)


@pytest.fixture
def ready(place: Path, wire: Wire) -> Path:
    """A recovered Cluster to which the traffic could be moved."""
    wire.on(RECOVERED, object_of(a_recovered()))
    _service(wire, SOURCE_HOST)
    _record(wire, VERIFIED)
    return place


def _move(folder: Path, command: str, *more: str) -> int:
    return run([command, "--config-dir", str(folder), "--env", "prod", *more])


def _json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_dry_run_of_a_switchover_shows_the_plan_and_changes_nothing(
    ready: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _move(ready, "switchover", "--dry-run", "--json") == 0
    told = _json(capsys)
    assert told["dryRun"] is True
    assert (told["plan"]["facts"]["From"], told["plan"]["facts"]["To"]) == (SOURCE_HOST, RECOVERED_HOST)
    assert "fence" in [step["key"] for step in told["plan"]["steps"]]
    assert nothing_changed(wire)


def test_a_dry_run_of_a_rollback_leads_back_to_where_the_switchover_came_from(
    ready: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    _service(wire, RECOVERED_HOST)
    _record(wire, MOVED)
    assert _move(ready, "rollback", "--dry-run", "--json") == 0
    facts = _json(capsys)["plan"]["facts"]
    assert (facts["From"], facts["To"]) == (RECOVERED_HOST, SOURCE_HOST)
    assert facts["Left"].startswith("data/postgres-prod-recovered, fenced")
    assert nothing_changed(wire)


def test_a_rollback_after_two_switchovers_leads_to_the_one_before(
    ready: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "other-rw.data.svc.cluster.local"
    wire.on(f"{CLUSTERS}/other", object_of(a_recovered("other")))
    _service(wire, other)
    _record(wire, MOVED.leaving(RECOVERED_HOST, towards=other).pointing_to(other))
    assert _move(ready, "rollback", "--dry-run", "--json") == 0
    assert _json(capsys)["plan"]["facts"]["To"] == RECOVERED_HOST


def test_a_rollback_before_a_switchover_stays_where_the_traffic_is(
    ready: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _move(ready, "rollback", "--dry-run", "--json") == 0
    plan = _json(capsys)["plan"]
    assert plan["facts"]["To"] == SOURCE_HOST
    assert "fence" not in [step["key"] for step in plan["steps"]]


def test_a_switchover_goes_to_the_name_that_is_given(
    ready: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    wire.on(f"{CLUSTERS}/other", object_of(a_recovered("other")))
    _record(wire, VERIFIED.with_verified("other", 7))
    assert _move(ready, "switchover", "--recovered-name", "other", "--dry-run", "--json") == 0
    assert _json(capsys)["plan"]["facts"]["To"] == "other-rw.data.svc.cluster.local"


@pytest.mark.parametrize("host", [RECOVERED_HOST, "pool.data.svc.cluster.local", "we-are-at-it.acme.test"])
def test_what_the_recovered_one_came_from_is_fenced_wherever_the_service_leads_by_now(
    ready: Path, wire: Wire, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    """E9."""
    _service(wire, host)
    assert _move(ready, "switchover", "--dry-run", "--json") == 0
    plan = _json(capsys)["plan"]
    assert plan["facts"]["Left"].startswith("data/postgres-prod, fenced")
    assert "fence" in [step["key"] for step in plan["steps"]]


def _unhealthy(wire: Wire) -> None:
    wire.on(RECOVERED, object_of(a_recovered(), healthy=False))


def _not_ours(wire: Wire) -> None:
    wire.on(RECOVERED, cluster_object("postgres-prod-recovered"))


def _no_deployment(wire: Wire) -> None:
    _gone(wire, "/apis/apps/v1/namespaces/prod/deployments/worker")


REFUSALS: list[tuple[str, Callable[[Wire], object], str]] = [
    ("switchover", lambda wire: _gone(wire, SERVICE), "service-missing"),
    ("switchover", lambda wire: _service(wire, None), "service-not-external"),
    ("switchover", _no_deployment, "workload-missing"),
    ("switchover", lambda wire: _gone(wire, RECOVERED), "recovered-missing"),
    ("switchover", _not_ours, "not-recovered-by-us"),
    ("switchover", _unhealthy, "recovered-not-healthy"),
    ("switchover", lambda wire: _record(wire, a_record(a_recovered())), "recovered-not-verified"),
    ("switchover", lambda wire: _gone(wire, RECORD), "recovered-not-verified"),
    ("rollback", lambda wire: _gone(wire, f"{CLUSTERS}/postgres-prod"), "nothing-to-go-back-to"),
    ("rollback", _no_deployment, "workload-missing"),
]


NAMES = {"switchover": "postgres-prod-recovered", "rollback": "postgres-prod"}


@pytest.mark.parametrize(("command", "arrange", "code"), REFUSALS, ids=[f"{one[0]}-{one[2]}" for one in REFUSALS])
def test_a_precondition_that_does_not_hold_is_refused_before_anything_is_changed(
    ready: Path,
    wire: Wire,
    capsys: pytest.CaptureFixture[str],
    command: str,
    arrange: Callable[[Wire], object],
    code: str,
) -> None:
    arrange(wire)
    assert _move(ready, command, "--yes", "--confirm", NAMES[command], "--json") == 4
    told = _json(capsys)
    assert [problem["code"] for problem in told["problems"]] == [code]
    assert (told["changed"], told["stopped"]) == (False, None)
    assert nothing_changed(wire)


@pytest.mark.parametrize("command", ["switchover", "rollback"])
def test_another_operator_at_work_is_refused_before_anything_is_changed(
    ready: Path, wire: Wire, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    wire.on(LEASE, lease_object("bob@ops-2:8", NOW.replace(year=2999)))
    assert _move(ready, command, "--yes", "--confirm", NAMES[command], "--json") == 4
    (problem,) = _json(capsys)["problems"]
    assert problem["code"] == "another-operator"
    assert "bob@ops-2:8" in problem["cause"]
    assert nothing_changed(wire)


@pytest.mark.parametrize("command", ["switchover", "rollback"])
@pytest.mark.parametrize("as_json", [True, False])
def test_without_a_terminal_nothing_is_agreed_to(ready: Path, wire: Wire, command: str, as_json: bool) -> None:
    assert _move(ready, command, *(["--json"] if as_json else [])) == 2
    assert nothing_changed(wire)


def test_a_rollback_takes_no_name(ready: Path, wire: Wire) -> None:
    assert _move(ready, "rollback", "--recovered-name", "other") == 2
    assert wire.asked == []


@pytest.mark.parametrize("command", ["switchover", "rollback", "status", "resume"])
def test_another_context_is_refused_before_anything_is_asked(
    ready: Path, wire: Wire, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert _move(ready, command, "--context", "acme-dev", "--json") == 2
    assert _json(capsys)["problems"][0]["code"] == "context-not-the-environments"
    assert wire.asked == []


def _locked(own_home: Path) -> Path:
    lock = own_home / "state" / "pulumi" / ".pulumi" / "locks" / "organization" / "postgres-dr" / "prod" / "x.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"username": "bob", "hostname": "ops-2", "pid": 8}))
    return lock


@pytest.mark.parametrize("more", [["--dry-run"], ["--yes", "--confirm", "postgres-prod-recovered"]], ids=str)
def test_who_is_at_work_is_told_and_not_the_lock_that_they_hold(
    ready: Path, own_home: Path, wire: Wire, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    """E35."""
    _locked(own_home)
    wire.on(LEASE, lease_object("bob@ops-2:8"))
    entry = an_entry("switchover").step_started("fence", NOW)
    _record(wire, VERIFIED.with_operation(entry))
    assert _move(ready, "switchover", *more, "--json") == 4
    (problem,) = _json(capsys)["problems"]
    assert problem["code"] in {"another-operator", "lease-stale"}
    assert "bob@ops-2:8" in problem["cause"]
    assert "with switchover, in its step fence" in problem["cause"]
    assert nothing_changed(wire)


def test_all_that_a_run_needs_is_looked_at_before_the_plan_and_told_at_once(
    ready: Path, wire: Wire, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """O4."""
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(ready / "gone"))
    monkeypatch.setenv("DR_STATE_DIR", str(ready / "Pulumi.prod.yaml" / "state"))
    monkeypatch.setenv("PATH", str(ready / "nowhere"))
    wire.on(REVIEWS, {"spec": {}, "status": {"allowed": False}}, method="POST", status=201)
    assert _move(ready, "switchover", "--dry-run", "--json") == 4
    told = [problem["code"] for problem in _json(capsys)["problems"]]
    assert told == ["passphrase-missing", "pulumi-missing", "state-folder-unusable", "forbidden"]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("print('error: incorrect passphrase', file=sys.stderr); sys.exit(1)", "passphrase-wrong"),
        ("print('error: dial tcp: no such host', file=sys.stderr); sys.exit(1)", "state-unreadable"),
        ("print('<html>')", "state-unreadable"),
    ],
)
def test_the_state_is_opened_before_the_plan_is_shown(
    ready: Path, own_home: Path, capsys: pytest.CaptureFixture[str], code: str, told: str
) -> None:
    """O4."""
    (own_home / "state" / "pulumi").mkdir(parents=True)
    write_pulumi(ready / "bin", f"if arguments[:2] == ['stack', 'export']:\n    {code}\n")
    assert _move(ready, "switchover", "--dry-run", "--json") == 6
    assert [problem["code"] for problem in _json(capsys)["problems"]] == [told]


def test_a_provider_that_is_missing_and_cannot_be_installed_is_told_before_the_plan(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """O4."""
    code = "if arguments[0] == 'plugin':\n    print('no route', file=sys.stderr); sys.exit(1)\n"
    write_pulumi(ready / "bin", code)
    assert _move(ready, "switchover", "--dry-run", "--json") == 6
    (problem,) = _json(capsys)["problems"]
    assert (problem["code"], "no route" in problem["cause"]) == ("provider-missing", True)


def test_a_state_that_another_run_holds_is_told_and_can_be_taken_over(
    ready: Path, own_home: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = _locked(own_home)
    assert _move(ready, "switchover", "--dry-run", "--json") == 6
    assert _json(capsys)["problems"][0]["code"] == "state-locked"
    assert _move(ready, "switchover", "--dry-run", "--take-over", "--json") == 0
    assert lock.exists(), "a dry run changed something"
