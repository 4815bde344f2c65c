"""``dr extract`` at the command line: what is told of it, and what of a report is shown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dr.before_drop.drops import Drop
from dr.core.target import LaterCommits
from dr.extract import observe as extract_observe
from dr.extract.plan import ExtractDecision, decide_extraction
from dr.extract.report import Extracted, ExtractReport
from dr.extract.run import Extract
from dr.extract.view import show_extraction
from dr.kube.api import KubernetesApi
from dr.main import run
from dr.postgres.table_name import TableName
from dr.run.session import Session
from dr.run.stores import RecordStore
from dr.status.advice import Status
from tests.support.builders import NOW, a_holder, a_record, an_entry, an_environment
from tests.support.extractions import an_extract_request, an_extract_situation

DONE = Extracted(
    rows=100_000,
    size=25 * 2**20,
    compared="number and checksum",
    kept="public.users_before_x",
    brought_back=("view public.emails",),
    left_out=("function public.f()",),
    faults=("foreign key orders_user of sales.orders: Key (5000) is not present",),
    recover_seconds=44.04,
    load_seconds=2.0,
)


def decision(**changes: Any) -> ExtractDecision:
    return decide_extraction(an_environment(), an_extract_request(**changes), an_extract_situation())


def report(**changes: Any) -> ExtractReport:
    return ExtractReport(
        decision=decision(**changes),
        environment=an_environment(),
        started=datetime(2026, 4, 27, 12, tzinfo=UTC),
        seconds=70.126,
        extracted=DONE,
        steps=(("load", 2.0, "in 2.0 s"),),
        journal="/journal",
    )


def test_the_report_shows_the_rows_what_came_back_and_what_did_not(capsys: pytest.CaptureFixture[str]) -> None:
    show_extraction(report(swap=True))
    said = capsys.readouterr().out
    for part in ("public.users", "100,000 rows, 25.0 MiB", "users_before_x", "emails", "public.f()", "Key (5000)"):
        assert part in said
    assert "--swap" not in said


def test_beside_the_present_one_the_next_command_is_the_swap(capsys: pytest.CaptureFixture[str]) -> None:
    show_extraction(report())
    assert an_extract_request(swap=True).command(an_environment()) in capsys.readouterr().out


def test_a_kept_scratch_cluster_comes_with_the_commands_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    kept = report(keep_scratch=True)
    show_extraction(kept)
    said = capsys.readouterr().out
    assert all(command in said for command in kept.scratch_commands)
    assert kept.as_json()["scratch"] == "postgres-prod-scratch"
    assert report().scratch_commands == []


def test_the_report_as_values() -> None:
    document = report(swap=True).as_json()
    assert document["table"] == document["recoveredTable"] == "public.users"
    assert (document["rows"], document["bytes"], document["recoverSeconds"]) == (100_000, 25 * 2**20, 44.04)
    assert document["keptTable"] == "public.users_before_x"
    assert document["faults"] == list(DONE.faults)
    assert replace(report(), extracted=Extracted()).as_json()["keptTable"] is None


@pytest.mark.parametrize(("option", "code"), [("--table", "usage"), ("--target-time", "usage")])
def test_table_and_target_are_both_wanted(option: str, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = {"--table": "users", "--target-time": "2026-04-27T09:55:00Z"}
    given = [word for name, value in words.items() if name != option for word in (name, value)]
    assert run(["extract", "--env", "prod", *given, "--json"]) == 2
    assert f'"code": "{code}"' in capsys.readouterr().out


def test_a_target_is_given_or_found_and_not_both(capsys: pytest.CaptureFixture[str]) -> None:
    both = ["--target-time", "2026-04-27T09:55:00Z", "--before-drop"]
    assert run(["extract", "--env", "prod", "--table", "users", *both, "--json"]) == 2
    assert "only one of them" in capsys.readouterr().out


@pytest.mark.parametrize("called", [None, TableName("shop", "goods_old")])
def test_just_before_a_drop_is_found_out(
    monkeypatch: pytest.MonkeyPatch, api: KubernetesApi, called: TableName | None
) -> None:
    # GIVEN
    session = Session(environment=an_environment(), api=api, holder=a_holder(), clock=lambda: NOW)
    monkeypatch.setattr(RecordStore, "read", lambda _: None)
    time = NOW - timedelta(minutes=5)
    left = LaterCommits(count=1, last=time, complete=True)
    drop = Drop(table="shop.goods", xid=7, time=time, lsn=9, left_out=left, called=called)
    found = {("postgres-prod", "shop.goods"): drop}
    monkeypatch.setattr(extract_observe, "find_drop", lambda _, source, table: found[source, str(table)])
    given = {"source": "postgres-prod", "source_manifest": None, "swap": True, "keep_scratch": False, "seal": True}
    # WHEN
    request = extract_observe.request_for(session, table=TableName("shop", "goods"), target=None, **given)  # type: ignore[arg-type]
    # THEN the target is right before it, the plan says so, and the command to go on names the moment
    assert request.target.time == time - timedelta(microseconds=1)
    plan = Extract(decide_extraction(an_environment(), request, an_extract_situation())).plan
    assert plan.facts["Dropped"].startswith("shop.goods, by transaction 7")
    assert "--target-time 2026-04-27T11:54:59.999999+00:00" in request.command(an_environment())
    # AND X5: what comes back is the table, by the name that it had then
    assert str(request.table) == str(called or "shop.goods")


def test_an_extraction_that_was_stopped_is_gone_on_with_and_not_rolled_back() -> None:
    status = Status(
        environment=an_environment(),
        clusters=(),
        external_name=None,
        workloads={},
        record=a_record().with_operation(an_entry("extract", started=NOW)),
        lease=None,
        holder_dead=False,
    )
    assert [advice.command for advice in status.advice] == ["python -m dr resume --env prod"]
