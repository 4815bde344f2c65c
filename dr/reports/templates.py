"""Jinja2 templates that are files of a package. Whatever one inserts is text and never markup, unless it is a
``Markup``; a name that is missing is an error.
"""

import re
from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_MARKDOWN_MARKS = re.compile(r"[\\`*_\[\]<>|#]")


def templates(package: str, *, escape: Callable[[str], str] | None = None) -> Environment:
    """The templates of ``package``. Values are escaped for HTML, or by ``escape`` where there is one."""
    return Environment(
        loader=PackageLoader(package, ""),
        autoescape=True,
        finalize=_finalize(escape) if escape else None,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _finalize(escape: Callable[[str], str]) -> Callable[[object], Markup]:
    return lambda value: value if isinstance(value, Markup) else Markup(escape(str(value)))  # noqa: S704


def in_markdown(text: str) -> str:
    """``text`` on one line, so that it reads the same in Markdown and is not markup, in a table too."""
    return _MARKDOWN_MARKS.sub(r"\\\g<0>", one_line(text))


def one_line(text: str) -> str:
    """``text`` with each run of white space as one space."""
    return " ".join(text.split())
