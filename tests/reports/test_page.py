"""The report as a page and as Markdown: whole, and safe whatever the database and the logs have in them."""

import re
from html.parser import HTMLParser

import pytest

from dr.reports.document import Failed, FindingLine, Link, ReportDocument
from dr.reports.markdown import markdown
from dr.reports.page import page
from dr.reports.pictures import element
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
        failed=Failed(code="drill-failed", cause=EVIL, step="verify"),
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


def test_children_come_in_their_order_and_nothing_is_nothing() -> None:
    made = element("p", "a", element("b", "c"), "d", None, "e", class_="x", data_of=None)
    assert (made.text, made[0].text, made[0].tail, made.attrib) == ("a", "c", "de", {"class": "x"})
