"""A preview as Markdown for a pull request: the verdict and the words first, the details folded, never too long."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from dr.core.errors import DrError, told
from dr.engine.changes import Change, Op
from dr.preview.report import PreviewReport

LIMIT = 65_536
"""The longest body that GitHub takes for a comment, in characters."""

_SIGNS = {0: "✅", 2: "✏️", 3: "⛔"}
_MARKS = {Op.CREATE: "+", Op.IMPORT: "+", Op.UPDATE: "!", Op.REPLACE: "!", Op.DELETE: "-", Op.FORGET: "-"}
_LONGEST_VALUE = 2_000


def as_markdown(report: PreviewReport, *, limit: int = LIMIT) -> str:
    """The report in at most ``limit`` characters. Details go first where there is too much, words last."""
    head = "\n".join(_head(report))
    details = list(_details(report))
    left, shown = limit - len(head) - 400, []
    for detail in details:
        if len(detail) > left:
            break
        shown.append(detail)
        left -= len(detail)
    if more := len(details) - len(shown):
        shown.append(f"\n{more} more resources are too long for a comment: `python -m dr preview` shows them.\n")
    return f"{_cut(head, limit)}\n{''.join(shown)}"[:limit]


def failure_as_markdown(environment: str, error: DrError, *, limit: int = LIMIT) -> str:
    """A preview that could not be made."""
    return _cut(f"### ⛔ {environment}: no preview\n\n{_fenced(told(error))}\n", limit)


def _head(report: PreviewReport) -> Iterator[str]:
    yield f"### {_SIGNS[report.exit_code]} {report.environment}: {_inline(report.headline)}\n"
    for danger in report.dangers:
        helps = f"What helps: {_inline(danger.remedy)}"
        yield f"> [!CAUTION]\n> **{danger.rule}**: {_inline(danger.cause)}.\n>\n> {helps}\n"
    for fault in report.changes.faults:
        yield f"> [!CAUTION]\n> Pulumi refuses: {_inline(fault)}\n"
    for overridden in report.overridden:
        yield f"> [!WARNING]\n> {_inline(overridden)}\n"
    if report.asked:
        yield f"The configuration asks for: {_inline(report.asked)}.\n"
    for sentence in report.words:
        yield f"- {_inline(sentence)}"
    yield f"\n**Lost:** {_inline('; '.join(report.lost) or 'nothing')}."
    if report.takes:
        yield f"\n**Takes:** {_inline(report.takes)}."
    for remark in report.changes.remarks:
        yield f"\n> [!NOTE]\n> {_inline(remark)}"


def _details(report: PreviewReport) -> Iterator[str]:
    for change in report.changes.items:
        if change.changes and not change.is_provider:
            name = html.escape(f"{change.kind} {change.name}").replace("@", "&#64;")
            lines = "\n".join(_lines(change))
            yield f"\n<details><summary>{name}: {change.op}</summary>\n\n{_fenced(lines, 'diff')}\n\n</details>\n"


def _lines(change: Change) -> Iterator[str]:
    yield f"{_MARKS.get(change.op, ' ')} {change.type} {change.name}"
    if change.paths:
        for path in change.paths:
            why = "  # replaces it" if path.replaces else ""
            if path.before is not None:
                yield f"- {path.path}: {_value(path.before)}{why}"
            if path.after is not None or path.before is None:
                yield f"+ {path.path}: {_value(path.after)}{why}"
        return
    document = change.after if change.op in {Op.CREATE, Op.IMPORT, Op.REPLACE} else change.before
    for line in yaml.safe_dump(_plain(document), sort_keys=False, width=1000).splitlines() if document else ():
        yield f"{_MARKS.get(change.op, ' ')}   {line}"


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _value(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _fenced(text: str, language: str = "") -> str:
    """A code block whose fence is longer than any run of backticks in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _inline(text: str) -> str:
    """Text of which nothing is markup, a mention or a link to an issue, on one line."""
    escaped = re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))
    return escaped.replace("@", "@\u200b")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 40]}\n\n… the rest is too long.\n"
