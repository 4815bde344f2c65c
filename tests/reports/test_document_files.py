"""Reports on this machine: beside the journal, found again, and one that is broken hides no other."""

from datetime import timedelta
from pathlib import Path

import pytest

from dr.core.errors import AccessError
from dr.reports.document import ReportFiles
from tests.support.builders import NOW
from tests.support.reports import a_report


@pytest.fixture
def files(tmp_path: Path) -> ReportFiles:
    return ReportFiles.beside(tmp_path / "journal" / "prod.jsonl")


def test_a_report_is_kept_beside_the_journal_with_its_other_forms(files: ReportFiles, tmp_path: Path) -> None:
    report = a_report()
    path = files.keep(report, {".html": "<p>", ".md": "#"})
    assert path == tmp_path / "journal" / "prod" / f"{report.id}.json"
    assert [files.path(report.id, suffix).read_text() for suffix in (".html", ".md")] == ["<p>", "#"]
    assert files.read(report.id) == report


def test_what_was_never_kept_is_none(files: ReportFiles) -> None:
    assert files.read("x") is None
    assert files.read_all() == ([], [])


def test_all_come_oldest_first_and_a_broken_one_is_told(files: ReportFiles) -> None:
    later, earlier = a_report(), a_report(NOW - timedelta(days=7))
    for report in (later, earlier):
        files.keep(report, {})
    files.path("broken", ".json").write_text("{")
    found, faults = files.read_all()
    assert found == [earlier, later]
    assert [str(files.path("broken", ".json")) in fault for fault in faults] == [True]


def test_one_that_cannot_be_decoded_is_said_so(files: ReportFiles) -> None:
    files.folder.mkdir(parents=True)
    files.path("x", ".json").write_bytes(b"\xff")
    with pytest.raises(AccessError) as failed:
        files.read("x")
    assert failed.value.code == "report-unreadable"
