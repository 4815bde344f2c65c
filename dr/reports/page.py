"""The report as one page that needs nothing else, and as Markdown to be pasted into an issue or a chat.

The page is read on a telephone by somebody who is asked how it went, and printed for a file. What both show comes from
the database and from logs too. So every value that a template inserts is text and never markup: it is escaped unless
it is a ``Markup``, in Markdown too, and the page's own policy lets nothing be loaded.
"""

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dr.core.text import bytes_of, moment_of, seconds_of
from dr.reports.document import Link, ReportDocument
from dr.reports.phases import SEEN, TITLES
from dr.reports.pictures import split_bar, timeline, trend_chart
from dr.reports.trend import Trend

_FILE_NAME = re.compile(r"[\w.-]+")
_MARKDOWN_MARKS = re.compile(r"[\\`*_\[\]<>|#]")


def page(document: ReportDocument, trend: Trend | None = None) -> str:
    """The whole page; with ``trend``, the drills before too."""
    return _templates().get_template("report.html.j2").render(report=document, trend=trend)


def markdown(document: ReportDocument) -> str:
    """The whole text."""
    templates = _templates().overlay(finalize=_plain)
    return templates.get_template("report.md.j2").render(report=document)


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("dr.reports", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"bytes": bytes_of, "seconds": seconds_of, "moment": moment_of, "verbatim": _verbatim}
    made.tests["followed"] = _followed
    made.globals |= {"titles": TITLES, "least": SEEN}
    made.globals |= {"split_bar": split_bar, "timeline": timeline, "trend_chart": trend_chart}
    return made


def _followed(link: Link) -> bool:
    """Only web addresses and files in the page's folder can be followed; all else is to be read or pasted."""
    return link.where.startswith("https://") or _FILE_NAME.fullmatch(link.where) is not None


def _plain(value: object) -> Markup:
    """``value`` so that it reads the same in Markdown and is no markup, in a table too."""
    if isinstance(value, Markup):
        return value
    return Markup(_MARKDOWN_MARKS.sub(r"\\\g<0>", _line(str(value))))  # noqa: S704


def _verbatim(text: str) -> Markup:
    """For a block of code in Markdown, where nothing is markup as long as it is one line."""
    return Markup(_line(text))  # noqa: S704


def _line(text: str) -> str:
    return " ".join(text.split())
