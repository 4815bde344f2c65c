"""``pitr --before-drop`` and ``mark`` by way of the command line, and what a found drop means for the recovery."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dr.archive.wal_lines import Commit
from dr.before_drop.drops import Drop
from dr.core.errors import AccessError
from dr.core.target import LaterCommits
from dr.main import run
from dr.mark.marks import Marks
from dr.mark.view import show_mark, show_marks
from dr.postgres.table_name import TableName
from dr.recovery import run as recovery
from dr.recovery.situation import RecoveryRequest
from dr.recovery.verify import verify_last_commit, verify_table
from tests.mark.test_marks import MARK
from tests.recovery.test_verify import PsqlDouble
from tests.support.builders import NOW, TARGET_TIME, a_decision, a_situation, an_environment
from tests.support.doubles import Wire, nothing_changed

USERS = TableName("public", "users")
DROP = Drop(
    table="public.users",
    xid=774,
    time=TARGET_TIME,
    lsn=0x4000139,
    called=USERS,
    kept=Commit(xid=773, lsn=0x4000100, time=TARGET_TIME - timedelta(seconds=1), number=1),
    left_out=LaterCommits(count=12, last=TARGET_TIME + timedelta(minutes=1), complete=True),
)


def _run(folder: Path, *words: str) -> int:
    return run([*words, "--config-dir", str(folder), "--env", "prod", "--json"])


def _codes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [problem["code"] for problem in json.loads(capsys.readouterr().out)["problems"]]


def test_the_plan_shows_the_drop_the_target_and_what_is_left_out(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, TableName]] = []

    def find(_: object, source: str, table: TableName) -> Drop:
        asked.append((source, table))
        return DROP

    monkeypatch.setattr(recovery, "find_drop", find)
    assert _run(place, "pitr", "--before-drop", "Users", "--dry-run") == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert asked == [("postgres-prod", USERS)]
    assert plan["operation"] == "pitr"
    facts = plan["facts"]
    assert facts["Dropped"] == "public.users, by transaction 774, committed at 2026-04-27 09:55:00 UTC"
    assert facts["Last kept"] == "transaction 773, committed at 2026-04-27 09:54:59 UTC"
    assert facts["Target"] == "LSN 0/4000139, exclusive"
    assert facts["Left out"].startswith("12 transactions, the last at 2026-04-27 09:56:00 UTC")
    assert "public.users" in next(step["detail"] for step in plan["steps"] if step["key"] == "verify")
    assert nothing_changed(wire)


def test_the_table_that_has_to_be_back_is_expected_by_its_last_name(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """X5. A new table under the old name passed for it."""
    called = replace(DROP, called=TableName("public", "users_old"))
    monkeypatch.setattr(recovery, "find_drop", lambda *_: called)
    assert _run(place, "pitr", "--before-drop", "users", "--dry-run") == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert "public.users_old" in next(step["detail"] for step in plan["steps"] if step["key"] == "verify")


@pytest.mark.parametrize(
    "more",
    [["--target-time", "2026-04-27T09:55:00Z"], ["--backup-id", "b"], ["--exclusive"], ["--timeline", "2"]],
    ids=lambda more: more[0],
)
def test_it_is_a_whole_target_by_itself(place: Path, capsys: pytest.CaptureFixture[str], more: list[str]) -> None:
    assert _run(place, "pitr", "--before-drop", "users", *more) == 2
    assert _codes(capsys) == ["targets-exclude-each-other"]


@pytest.mark.parametrize(
    ("more", "code"),
    [(["--target-time", "2026-04-27T09:55:00Z"], "targets-exclude-each-other"), (["--before-drop", "users"], "usage")],
)
def test_pitr_to_the_latest_is_a_whole_target(
    place: Path, capsys: pytest.CaptureFixture[str], more: list[str], code: str
) -> None:
    assert _run(place, "pitr", "--latest", *more) == 2
    assert _codes(capsys) == [code]


def test_pitr_to_the_latest_is_the_command_latest(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(place, "latest", "--dry-run") == 0
    plan = json.loads(capsys.readouterr().out)
    assert _run(place, "pitr", "--latest", "--dry-run") == 0
    assert json.loads(capsys.readouterr().out) == plan


def test_what_is_no_table_is_refused_at_once(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(place, "pitr", "--before-drop", "a.b.c") == 2
    assert _codes(capsys) == ["table-name-malformed"]


def test_going_on_is_by_the_position_that_was_found_and_sees_to_the_table() -> None:
    # GIVEN a table whose name has to be quoted
    table = TableName("public", "Users")
    request = RecoveryRequest(
        target=DROP.target, source="postgres-prod", recovered_name="postgres-prod-recovered", drop=DROP, expects=table
    )
    command = request.command(an_environment(), go_on=True)
    assert command == (
        "python -m dr pitr --env prod --target-lsn 0/4000139 --exclusive --expect-table 'public.\"Users\"' --continue"
    )


def test_what_was_found_is_what_the_cluster_is_declared_with() -> None:
    situation = a_situation(commits_after_target=DROP.left_out)
    decision = a_decision(situation, target=DROP.target, drop=DROP, expects=USERS)
    wanted = {"targetLSN": "0/4000139", "exclusive": True, "backupID": decision.base.backup_id}
    assert decision.cluster.manifest["spec"]["bootstrap"]["recovery"]["recoveryTarget"] == wanted


def test_the_last_transaction_is_judged_by_the_one_that_was_to_be_kept() -> None:
    assert DROP.kept is not None
    assert verify_last_commit(DROP.kept.time, DROP.target, DROP.kept.time).passed is True
    assert verify_last_commit(TARGET_TIME, DROP.target, DROP.kept.time).passed is None
    assert verify_last_commit(TARGET_TIME, DROP.target).passed is None


def test_a_table_that_is_there_passes_with_its_rows() -> None:
    psql = PsqlDouble(["t"], ["100000"])
    finding = verify_table(psql, TableName("public", "it's\""))
    assert (finding.value, finding.passed) == ("100,000 rows", True)
    assert 'to_regclass(\'"public"."it\'\'s"""\')' in psql.asked[0][0]


def test_a_table_that_is_missing_does_not_pass() -> None:
    finding = verify_table(PsqlDouble(["f"]), USERS)
    assert (finding.name, finding.value, finding.passed) == ("public.users", "missing", False)


def test_a_table_too_big_to_count_is_there_all_the_same() -> None:
    too_long = AccessError("sql-failed", "canceling statement due to statement timeout", "do")
    finding = verify_table(PsqlDouble(["t"], too_long), USERS)
    assert (finding.value, finding.passed) == ("there; not counted within 20 s", True)


@pytest.mark.parametrize("words", [["mark"], ["mark", "name", "--list"]], ids=["neither", "both"])
def test_a_mark_is_made_or_all_are_listed(place: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert _run(place, *words) == 2
    assert _codes(capsys) == ["usage"]


def test_no_marks_are_an_empty_list(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(place, "mark", "--list") == 0
    assert json.loads(capsys.readouterr().out) == {"environment": "prod", "marks": []}


def test_marks_are_shown_with_the_way_back(capsys: pytest.CaptureFixture[str]) -> None:
    unfinished = MARK.model_copy(update={"name": "half", "archived": False, "made": NOW})
    show_mark(Marks(environment="prod", commands=an_environment().commands, serving="postgres-prod", marks=(MARK,)))
    show_marks(Marks(environment="prod", commands=an_environment().commands, serving="other", marks=(MARK, unfinished)))
    show_marks(Marks(environment="prod", commands=an_environment().commands, serving="other", marks=()))
    said = capsys.readouterr().out
    assert said.count("python -m dr pitr --env prod --target-name before-42 --backup-id 20260427T030000") == 2
    assert "--source postgres-prod" in said
    assert said.count("not archived") == 1
    assert "python -m dr mark --env prod NAME" in said
