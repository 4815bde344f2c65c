"""The report as one page that needs nothing else, and as Markdown to be pasted into an issue or a chat.

The page is read on a telephone by somebody who is asked how it went, and printed for a file. What both show comes from
the database and from logs too, so all of it is escaped (:mod:`dr.reports.templates`), and the page's own policy lets
nothing be loaded.
"""

import re
from collections.abc import Callable
from functools import cache

from jinja2 import Environment
from markupsafe import Markup

from dr.core.text import bytes_of, moment_of, seconds_of
from dr.reports.charts import split_bar, timeline, trend_chart
from dr.reports.document import Link, ReportDocument
from dr.reports.phases import SEEN, TITLES
from dr.reports.templates import in_markdown, one_line, templates
from dr.reports.trend import Trend

_FILE_NAME = re.compile(r"[\w.-]+")


def page(document: ReportDocument, trend: Trend | None = None) -> str:
    """The whole page; with ``trend``, the drills before too."""
    return _templates(None).get_template("report.html.j2").render(report=document, trend=trend)


def markdown(document: ReportDocument) -> str:
    """The whole text."""
    return _templates(in_markdown).get_template("report.md.j2").render(report=document)


@cache
def _templates(escape: Callable[[str], str] | None) -> Environment:
    made = templates("dr.reports", escape=escape)
    made.filters |= {"bytes": bytes_of, "seconds": seconds_of, "moment": moment_of, "verbatim": _verbatim}
    made.tests["followed"] = _followed
    made.globals |= {"titles": TITLES, "least": SEEN}
    made.globals |= {"split_bar": split_bar, "timeline": timeline, "trend_chart": trend_chart}
    return made


def _followed(link: Link) -> bool:
    """Only web addresses and files in the page's folder can be followed; all else is to be read or pasted."""
    return link.where.startswith("https://") or _FILE_NAME.fullmatch(link.where) is not None


def _verbatim(text: str) -> Markup:
    """For a block of code in Markdown, where nothing is markup as long as it is one line."""
    return Markup(one_line(text))  # noqa: S704
