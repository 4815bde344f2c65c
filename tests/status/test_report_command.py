"""``dr report`` as it is typed: the newest, one by its ID, all of them, and a cluster that is gone."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import click
import pytest

from dr.main import run
from dr.reports.document import ReportFiles
from tests.support.builders import NOW
from tests.support.doubles import Wire, closed_port, write_environment, write_kubeconfig
from tests.support.reports import a_report

OLDER, NEWER = a_report(NOW - timedelta(days=7)), a_report()
ELSEWHERE = a_report(NOW - timedelta(days=3), user="cron@pod")
DRILLS = "/api/v1/namespaces/data/configmaps/postgres-dr-prod-drills"


@pytest.fixture
def kept(own_home: Path) -> ReportFiles:
    """Two reports on this machine."""
    files = ReportFiles.beside(own_home / "state" / "journal" / "prod.jsonl")
    for report in (OLDER, NEWER):
        files.keep(report, {".html": "<p>"})
    return files


@pytest.fixture
def dr(tmp_path: Path, wire: Wire, kept: ReportFiles) -> Callable[..., int]:
    """``dr report --env prod``, with one more drill in the cluster."""
    write_environment(tmp_path, write_kubeconfig(tmp_path / "config", {"acme-prod": wire.url}))
    data = {ELSEWHERE.id: ELSEWHERE.model_dump_json(by_alias=True)}
    wire.on(DRILLS, {"metadata": {"resourceVersion": "1"}, "data": data})
    return lambda *words: run(["report", "--env", "prod", "--config-dir", str(tmp_path), *words])


def test_the_newest_is_shown_with_its_page(
    dr: Callable[..., int], kept: ReportFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dr() == 0
    told = capsys.readouterr().out
    assert "drill on prod done" in told
    assert "RTO 54 s of 30 min" in told
    assert str(kept.path(NEWER.id, ".html")) in told.replace("\n", "")


def test_one_is_found_by_the_beginning_of_its_id(dr: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert dr(OLDER.id[:8], "--json") == 0
    assert json.loads(capsys.readouterr().out)["id"] == OLDER.id


@pytest.mark.parametrize("wanted", ["2026", "1999"])
def test_an_id_of_several_or_of_none_is_refused(
    dr: Callable[..., int], capsys: pytest.CaptureFixture[str], wanted: str
) -> None:
    assert dr(wanted, "--json") == 2
    assert json.loads(capsys.readouterr().out)["problems"][0]["code"] == "report-missing"


def test_all_are_listed_those_of_the_cluster_among_them(
    dr: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dr("--list", "--json") == 0
    assert [one["id"] for one in json.loads(capsys.readouterr().out)] == [OLDER.id, ELSEWHERE.id, NEWER.id]
    assert dr("--list") == 0
    assert "Trend: 3 drills" in capsys.readouterr().out


def test_the_page_of_a_drill_that_ran_elsewhere_is_made_here(
    dr: Callable[..., int], kept: ReportFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", opened.append)
    assert dr(ELSEWHERE.id, "--open") == 0
    page = kept.path(ELSEWHERE.id, ".html")
    assert opened == [page.as_uri()]
    assert "cron@pod" in page.read_text()


def test_a_cluster_that_is_gone_hides_nothing_of_this_machine(
    dr: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_kubeconfig(tmp_path / "config", {"acme-prod": closed_port()})
    assert dr("--list") == 0
    told = capsys.readouterr().out
    assert NEWER.id.partition(".")[0] in told
    assert "drills that ran elsewhere are not among them" in told


def test_where_nothing_was_kept_it_is_said_so(
    dr: Callable[..., int], kept: ReportFiles, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in kept.folder.iterdir():
        path.unlink()
    wire.answers.pop(("GET", DRILLS))
    assert dr("--json") == 2
    assert json.loads(capsys.readouterr().out)["problems"][0]["code"] == "report-missing"
    assert dr("--list") == 0
    assert "no drill has passed yet" in capsys.readouterr().out
