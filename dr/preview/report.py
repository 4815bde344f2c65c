"""A preview for people, in words and as Markdown: what changes, what is lost by it, and what must not be."""

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from dr.cnpg.cluster import cluster_behind
from dr.core.commands import ANY_RUN
from dr.core.errors import DrError, summary
from dr.core.target import written_fields
from dr.core.text import whole_seconds_of
from dr.engine.changes import Change, Changes, Op
from dr.guard.rules import CLUSTER, Violation
from dr.reports.templates import in_markdown, templates
from dr.run.record import Record

_VERBS = {
    Op.CREATE: "created",
    Op.IMPORT: "taken over",
    Op.UPDATE: "changed",
    Op.REPLACE: "replaced",
    Op.DELETE: "deleted",
    Op.FORGET: "removed from the state, not deleted",
    Op.READ: "read",
    Op.KEEP: "kept",
}
_NOTHING, _CHANGE, _DANGER = 0, 2, 3


@dataclass(frozen=True, kw_only=True)
class PreviewReport:
    """What came of a preview. ``violations`` are those that are not overridden, ``overridden`` the others in
    words; ``asked`` is what the configuration asks for; ``seconds`` are those that a recovery took last, None before
    the first; ``limit`` is the longest it may take.
    """

    environment: str
    changes: Changes
    violations: tuple[Violation, ...] = ()
    overridden: tuple[str, ...] = ()
    asked: str = ""
    seconds: float | None = None
    limit: float = 0

    @property
    def exit_code(self) -> int:
        """0 nothing changes, 2 something does, 3 something must not be done."""
        if self.violations or self.changes.faults:
            return _DANGER
        return _CHANGE if self.changes.any else _NOTHING

    @property
    def headline(self) -> str:
        """All of it in one line."""
        counts = [
            f"{len(found)} {_VERBS[op].split(',')[0]}"
            for op in (Op.CREATE, Op.IMPORT, Op.UPDATE, Op.REPLACE, Op.DELETE, Op.FORGET, Op.KEEP)
            if (found := [change for change in self.changes.of(op) if not change.is_provider])
        ]
        said = ", ".join(counts) or "the stack holds nothing"
        return f"{said}; this is dangerous" if self.exit_code == _DANGER else said

    @property
    def words(self) -> tuple[str, ...]:
        """What becomes of each resource, one sentence each; what stays comes last."""
        told = sorted((change for change in self.changes.items if not change.is_provider), key=_order)
        return tuple(_sentence(change) for change in told)

    @property
    def lost(self) -> tuple[str, ...]:
        """What would be gone afterwards; empty when nothing is."""
        return tuple(_losses(self.changes))

    @property
    def takes(self) -> str:
        """How long it takes, as far as is known; empty when nothing is done."""
        if not self.changes.any:
            return ""
        if any(change.type == CLUSTER and change.op in {Op.CREATE, Op.REPLACE} for change in self.changes.items):
            last = f"{self.seconds:.0f} s the last time" if self.seconds is not None else "never done here yet"
            return f"the recovery of a Cluster: {last}, and at most {whole_seconds_of(self.limit)}"
        return "seconds, and what the providers take"

    @property
    def manifests(self) -> tuple[Mapping[str, Any], ...]:
        """The custom resources as they would be declared, to be checked against their schemas."""
        declared = (change.after for change in self.changes.items if change.type == CLUSTER and change.changes)
        return tuple(manifest for manifest in declared if manifest is not None)

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "environment": self.environment,
            "headline": self.headline,
            "exitCode": self.exit_code,
            "asked": self.asked,
            "words": list(self.words),
            "lost": list(self.lost),
            "takes": self.takes,
            "dangers": [violation.as_json() for violation in self.violations],
            "overridden": list(self.overridden),
            "manifests": [dict(manifest) for manifest in self.manifests],
            **self.changes.as_json(),
        }


def recovery_seconds(record: Record | None) -> float | None:
    """How long the last recovery took that was done; None before the first."""
    for entry in reversed(record.operations if record else ()):
        for step in entry.steps:
            if step.key == "recover" and step.ended is not None:
                return (step.ended - step.started).total_seconds()
    return None


def _order(change: Change) -> int:
    order = (Op.DELETE, Op.REPLACE, Op.UPDATE, Op.CREATE, Op.IMPORT, Op.FORGET, Op.KEEP, Op.READ)
    return order.index(change.op)


def _sentence(change: Change) -> str:
    more = ", ".join(_more(change))
    return f"{change.kind} {change.name} is {_VERBS[change.op]}{f': {more}' if more else ''}"


def _more(change: Change) -> Iterator[str]:
    if change.protected and change.goes:
        yield "it is protected, so Pulumi refuses"
    if change.type == CLUSTER and change.op in {Op.CREATE, Op.REPLACE}:
        recovery: Mapping[str, Any] = change.new("spec.bootstrap.recovery") or {}
        if recovery:
            target = written_fields(recovery.get("recoveryTarget") or {}) or "the end of its WAL"
            yield f"recovered from {recovery.get('source')} to {target}"
    if host := change.new("spec.externalName"):
        before = change.old("spec.externalName")
        if before and before != host:
            yield f"from {before} to {host}"
        else:
            yield f"points to {host}"
    elif change.op in {Op.UPDATE, Op.IMPORT} and change.paths:
        yield ", ".join(path.path for path in change.paths[:5]) + (" and more" if len(change.paths) > 5 else "")
    if change.op is Op.REPLACE and (why := [path.path for path in change.paths if path.replaces]):
        yield f"because of {', '.join(why[:3])}"


def _losses(changes: Changes) -> Iterator[str]:
    for change in changes.items:
        if change.is_provider:
            continue
        if change.goes and change.type == CLUSTER:
            yield f"the volumes of {change.name}, with what was written there and is not archived"
        elif change.goes:
            yield f"{change.kind} {change.name}, with all that is in it"
        elif change.op is Op.UPDATE and (before := change.old("spec.externalName")):
            left = cluster_behind(str(before), str(change.old("metadata.namespace") or ""))
            if left and before != change.new("spec.externalName"):
                yield f"nothing is deleted, but what {left} alone has does not come along: it stays there"


LIMIT = 65_536
"""The longest body that GitHub takes for a comment, in characters."""

_SIGNS = {0: "✅", 2: "✏️", 3: "⛔"}
_MARKS = {Op.CREATE: "+", Op.IMPORT: "+", Op.UPDATE: "!", Op.REPLACE: "!", Op.DELETE: "-", Op.FORGET: "-"}
_LONGEST_VALUE = 2_000


def as_markdown(report: PreviewReport, *, limit: int = LIMIT) -> str:
    """The report in at most ``limit`` characters. Details go first where there is too much, words last."""
    template = templates("dr.preview", escape=_inline).get_template("comment.md.j2")
    head = template.render(report=report, sign=_SIGNS[report.exit_code]).removesuffix("\n")
    details = list(_details(report))
    left, shown = limit - len(head) - 400, []
    for detail in details:
        if len(detail) > left:
            break
        shown.append(detail)
        left -= len(detail)
    if more := len(details) - len(shown):
        # For everybody who reads it, wherever they run it.
        preview = replace(ANY_RUN, environment=report.environment).dr("preview")
        shown.append(f"\n{more} more resources are too long for a comment: `{preview}` shows them.\n")
    return f"{_cut(head, limit)}\n{''.join(shown)}"[:limit]


def failure_as_markdown(environment: str, error: DrError, *, limit: int = LIMIT) -> str:
    """A preview that could not be made."""
    return _cut(f"### ⛔ {environment}: no preview\n\n{_fenced(summary(error))}\n", limit)


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
    return in_markdown(text).replace("@", "@\u200b")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 40]}\n\n… the rest is too long.\n"
