"""What a template inserts is text, in HTML and in Markdown, and a name that is missing is an error."""

from collections.abc import Callable

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from dr.reports.templates import in_markdown, templates

EVIL = "<b>&\"'`* [x](y) |\n# z"


def test_in_html_a_value_is_escaped_in_words_and_in_attributes() -> None:
    made = templates("dr.reports").from_string('<a title="{{ value }}">{{ value }}</a>')
    text = "&lt;b&gt;&amp;&#34;&#39;`* [x](y) |\n# z"
    assert made.render(value=EVIL) == f'<a title="{text}">{text}</a>'


def test_in_markdown_a_value_is_one_line_without_markup() -> None:
    made = templates("dr.reports", escape=in_markdown).from_string("| **{{ value }}** | {{ number }} |")
    assert made.render(value=EVIL, number=1.5) == "| **\\<b\\>&\"'\\`\\* \\[x\\](y) \\| \\# z** | 1.5 |"


def test_what_is_markup_already_is_left_as_it_is() -> None:
    for escape in (None, in_markdown):
        assert templates("dr.reports", escape=escape).from_string("{{ value }}").render(value=Markup("<b>")) == "<b>"


@pytest.mark.parametrize("escape", [None, in_markdown])
def test_a_name_that_is_missing_is_an_error(escape: Callable[[str], str] | None) -> None:
    with pytest.raises(UndefinedError, match="missing"):
        templates("dr.reports", escape=escape).from_string("{{ missing }}").render()
