"""The report as a page and as Markdown: whole, and safe whatever the database and the logs have in them."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import dr.reports
from dr.core.plan import Phase
from dr.reports.document import DataLoss, Failed, FindingLine, Link, ReportDocument, Sizes
from dr.reports.page import markdown, page
from dr.reports.trend import trend_of
from tests.support.reports import a_report

EVIL = "<script>alert(1)</script> \"quoted\" 'too' & `ticks` | pipes\n# heading"


class _Reader(HTMLParser):
    """The elements, their attributes, and the words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def an_evil_report() -> ReportDocument:
    return a_report(
        facts={EVIL: EVIL},
        warnings=(EVIL,),
        lost=(EVIL,),
        kept=(EVIL,),
        user=EVIL,
        command=EVIL,
        outcome="failed",
        failed=Failed(code="drill-failed", cause=EVIL, step="verify", remedy=EVIL, undo=(EVIL,)),
        findings=(FindingLine(name=EVIL, value=EVIL, passed=False),),
        versions={EVIL: EVIL},
        links=(Link(what=EVIL, where="javascript:alert(1)//"), Link(what="x", where=EVIL)),
    )


def test_the_page_says_all_that_the_report_has() -> None:
    words = _Reader(page(a_report())).words
    for said in ("Drill on prod", "Passed", "54 s", "within the goal of 30 min", "42 s", "1.5 GiB", "960.0 MiB"):
        assert said in words
    for said in ("WAL replay", "56%", "Restoring the base backup", "not possible: no manifest", "17.6", "as it is"):
        assert said in words


def test_a_failure_is_shown_with_what_helps_and_the_way_back() -> None:
    """O13."""
    failed = Failed(code="api-unreachable", cause="the wire is cut", step="verify", remedy="look", undo=("a & b", "c"))
    report = a_report(outcome="failed", failed=failed)
    words = _Reader(page(report)).words
    assert "What to do: look" in words
    assert "To take it back:" in words
    assert "a & b\nc" in words


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    read = _Reader(page(a_report(), trend_of([a_report()], goal=1800)))
    assert {tag for tag, _ in read.tags} & {"script", "link", "img", "iframe", "object"} == set()
    assert not any(name in attributes for _, attributes in read.tags for name in ("src", "onload", "onclick"))
    policy = next(attributes["content"] for tag, attributes in read.tags if "http-equiv" in attributes)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert "http" not in page(a_report()).replace("http-equiv", "")


def test_what_comes_from_elsewhere_is_text_and_never_markup() -> None:
    read = _Reader(page(an_evil_report()))
    assert {tag for tag, _ in read.tags} & {"script"} == set()
    assert read.words.count("<script>alert(1)</script>") >= 8
    assert not any("javascript" in (attributes.get("href") or "") for _, attributes in read.tags)


@pytest.mark.parametrize("where", ["javascript:alert(1)", "data:text/html,x", "http://x.test", "//x.test", "a b", EVIL])
def test_only_web_addresses_and_files_in_the_same_folder_can_be_followed(where: str) -> None:
    def followed(where: str) -> list[str | None]:
        read = _Reader(page(a_report(links=(Link(what="x", where=where),))))
        return [attributes["href"] for tag, attributes in read.tags if tag == "a"]

    assert followed(where) == []
    for good in ("https://x.test/a?b=1&c=2", "20260427T100000.000000Z-drill.log"):
        assert followed(good) == [good]


def test_markdown_says_the_same_and_is_no_markup_either() -> None:
    told = markdown(a_report())
    for said in ("# drill on prod: done", "**RTO 54 s** of 30 min", "| WAL replay | 30.0 |", "**RPO 42 s**"):
        assert said in told
    evil = markdown(an_evil_report())
    assert re.search(r"(?<!\\)<script", evil.replace("    <script", "")) is None
    assert "\n# heading" not in evil


def test_the_picture_has_a_bar_for_each_span_within_its_width() -> None:
    read = _Reader(page(a_report()))
    bars = [attributes for tag, attributes in read.tags if tag == "rect" and attributes.get("y") not in {"0", None}]
    assert len(bars) == 8
    for bar in bars:
        begin, width = (float((bar[name] or "").rstrip("%")) for name in ("x", "width"))
        assert begin >= 0
        assert begin + width <= 96.5


@pytest.mark.parametrize("outcome", ["failed", "interrupted"])
def test_one_that_failed_early_has_a_page_too(outcome: str) -> None:
    bare = a_report(outcome=outcome, rto=None, rpo=None, sizes=None, spans=(), steps=(), findings=(), facts={})
    assert {"failed": "Failed", "interrupted": "Stopped"}[outcome] in _Reader(page(bare)).words


def a_full_report() -> ReportDocument:
    """One that has everything that a report can have, of every kind."""
    report = a_report(operation="switchover", lost=("three rows",), warnings=("beware",))
    assert report.rto is not None
    assert report.rpo is not None
    return report.model_copy(
        update={
            "rto": report.rto.model_copy(
                update={"goal_seconds": 30.0, "since": "x", "phases": dict.fromkeys(Phase, 9.0)}
            ),
            "rpo": report.rpo.model_copy(update={"wanted": True, "seconds": None}),
            "findings": tuple(FindingLine(name="x", value="y", passed=passed) for passed in (True, False, None)),
            "steps": (report.steps[0].model_copy(update={"seconds": None}), *report.steps),
        }
    )


def test_a_report_that_has_everything_is_shown_with_everything() -> None:
    words = " ".join(_Reader(page(a_full_report())).words.split())
    for said in (
        "Switchover on prod Done",
        "misses the goal of 30 s, from the recovery's beginning to the traffic moved",
        "RPO not known left out on purpose, by the target",
        "last recovered commit 2026-04-27 11:59:18 UTC",
        "Waiting for you 9.0 s 10%",
        "✔ x y ✘ x y · x y",
        "Lost three rows Kept postgres-prod, as it is",
        "What was agreed to Source data/postgres-prod, left as it is beware",
        "Recover not ended, from 12:00:01 healthy",
        "Journal: /state/journal/prod.jsonl",
    ):
        assert said in words
    told = markdown(a_full_report())
    for said in (
        "**RPO not known**, on purpose: the last",
        "| Recover | 12:00:01 | not ended | healthy |",
        "- **!** beware",
    ):
        assert said in told


def test_what_a_report_lacks_is_not_shown() -> None:
    sizes = Sizes(base_backup="b", base_backup_bytes=None, wal_segments=0, wal_segment_bytes=16 * 2**20)
    loss = DataLoss(last_recovered=None, last_acknowledged=None, seconds=0.0, wanted=False, how="compared")
    bare = a_report(rpo=loss, sizes=sizes, rto=None, kept=(), links=(), versions={}, steps=(), spans=(), facts={})
    words = " ".join(_Reader(page(bare)).words.split())
    assert "RPO nothing lost WAL none 0 segments replayed What was checked" in words
    for missing in ("RTO", "Base backup", "Database", "Steps", "Lost and kept", "Read on", "What happened when"):
        assert missing not in words
    assert "Base backup b, of unknown size; 0 WAL segments replayed\n" in markdown(bare)


def test_every_phase_has_its_colours() -> None:
    style = (Path(dr.reports.__file__).parent / "report.css").read_text(encoding="utf-8")
    for phase in Phase:
        assert style.count(f"--phase-{phase}: #") == 2, "one by day and one by night"
        assert f".phase-{phase} {{ fill: var(--phase-{phase}); }}" in style
    assert style.strip() in page(a_report())
