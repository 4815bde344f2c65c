"""The report as one page that needs nothing else: no script, no font, no picture from elsewhere.

It is read on a telephone by somebody who is asked how it went, and printed for a file. What it shows comes from the
database and from logs too, so all of it is text and never markup (:mod:`dr.reports.pictures`), and the page's own
policy lets nothing be loaded.
"""

import re
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from dr.core.text import bytes_of, moment_of, seconds_of
from dr.reports.document import DataLoss, FindingLine, Link, RecoveryTime, ReportDocument, Sizes
from dr.reports.phases import SEEN, TITLES, Phase
from dr.reports.pictures import Child, as_html, element, key_of, split_bar, timeline, trend_chart
from dr.reports.trend import Trend

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_FILE_NAME = re.compile(r"[\w.-]+")
_NAMES = {"pitr": "PITR"}
_OUTCOMES = {"done": ("Done", "good"), "failed": ("Failed", "bad"), "interrupted": ("Stopped", "stopped")}


def page(document: ReportDocument, trend: Trend | None = None) -> str:
    """The whole page; with ``trend``, the drills before too."""
    title = f"{document.operation} on {document.environment}, {document.started:%Y-%m-%d %H:%M} UTC"
    root = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", title),
            element("style", STYLE),
        ),
        element("body", element("main", _head(document), *_sections(document, trend), _foot(document))),
        lang="en",
    )
    return as_html(root)


def _sections(document: ReportDocument, trend: Trend | None) -> Iterator[Element]:
    if document.failed:
        where = f"in {_title_of(document, document.failed.step)}" if document.failed.step else ""
        yield element(
            "section",
            element("h2", f"What went wrong {where}".strip()),
            element("p", document.failed.cause),
            element("p", element("code", document.failed.code)),
            class_="failed",
        )
    yield _figures(document)
    if document.rto:
        yield element("section", element("h2", "Where the time went"), split_bar(document.rto), _phases(document.rto))
    if document.spans:
        yield element("section", element("h2", "What happened when"), timeline(document))
    if document.findings:
        yield element("section", element("h2", "What was checked"), _findings(document.findings))
    if document.lost or document.kept:
        yield element("section", element("h2", "Lost and kept"), *_lists(document))
    if trend and (chart := trend_chart(trend)) is not None:
        warnings = [element("p", warning, class_="warning") for warning in trend.warnings(document.ended)]
        heading = element("h2", "RTO against what was recovered")
        yield element("section", heading, chart, element("p", trend.sentence), *warnings)
    if document.facts:
        warnings = [element("p", warning, class_="warning") for warning in document.warnings]
        yield element("section", element("h2", "What was agreed to"), _pairs(document.facts), *warnings)
    if document.steps:
        yield element("section", element("h2", "Steps"), _steps(document))
    yield element("section", element("h2", "Versions"), _pairs(document.versions))
    if document.links:
        yield element("section", element("h2", "Read on"), element("ul", *map(_link, document.links)))


def _head(document: ReportDocument) -> Element:
    said, tone = _OUTCOMES[document.outcome]
    if document.operation == "drill" and document.outcome == "done":
        said = "Passed"
    return element(
        "header",
        element(
            "h1",
            f"{_NAMES.get(document.operation, document.operation.capitalize())} on {document.environment} ",
            element("span", said, class_=f"outcome {tone}"),
        ),
        element("p", f"{moment_of(document.started)}, {seconds_of(document.seconds)}, by {document.user}"),
        element("p", element("code", document.command)),
    )


def _figures(document: ReportDocument) -> Element:
    """The few numbers that are asked for first."""
    shown = [_rto(document.rto), _rpo(document.rpo), *_sizes(document.sizes)]
    return element("section", *(figure for figure in shown if figure is not None), class_="figures")


def _figure(name: str, value: str, *said: Child, tone: str = "") -> Element:
    return element(
        "div",
        element("div", name, class_="name"),
        element("div", value, class_="value"),
        element("div", *said, class_="said"),
        class_=f"figure {tone}".strip(),
    )


def _rto(rto: RecoveryTime | None) -> Element | None:
    if rto is None:
        return None
    met = rto.seconds <= rto.goal_seconds
    told = f"{'within' if met else 'misses'} the goal of {seconds_of(rto.goal_seconds)}"
    told += ", from the recovery's beginning to the traffic moved" if rto.since else ""
    return _figure("RTO", seconds_of(rto.seconds), told, tone="good" if met else "bad")


def _rpo(loss: DataLoss | None) -> Element | None:
    if loss is None:
        return None
    value = "not known" if loss.seconds is None else seconds_of(loss.seconds) if loss.seconds else "nothing lost"
    said: list[Child] = ["left out on purpose, by the target", element("br")] if loss.wanted else []
    if loss.last_recovered:
        said += [f"last recovered commit {moment_of(loss.last_recovered)}", element("br")]
    if loss.last_acknowledged:
        said += [f"last acknowledged {moment_of(loss.last_acknowledged)}", element("br")]
    if loss.seconds is None:
        said.append(loss.how)
    return _figure("RPO", value, *said)


def _sizes(sizes: Sizes | None) -> Iterator[Element]:
    if sizes is None:
        return
    if sizes.base_backup_bytes:
        yield _figure("Base backup", bytes_of(sizes.base_backup_bytes), sizes.base_backup)
    wal = sizes.wal_segments * sizes.wal_segment_bytes
    yield _figure("WAL", bytes_of(wal) if wal else "none", f"{sizes.wal_segments:,} segments replayed")
    if sizes.database_bytes:
        yield _figure("Database", bytes_of(sizes.database_bytes), "as it was recovered")


def _phases(rto: RecoveryTime) -> Element:
    whole = sum(rto.phases.values()) or 1.0
    rows = [
        element(
            "tr",
            element("td", key_of(phase), f" {TITLES[phase]}"),
            element("td", seconds_of(seconds), class_="number"),
            element("td", f"{seconds / whole:.0%}", class_="number"),
        )
        for phase, seconds in rto.phases.items()
        if seconds >= SEEN
    ]
    return element("table", element("tbody", *rows), class_="phases")


def _findings(findings: tuple[FindingLine, ...]) -> Element:
    marks = {True: ("✔", "good", "passed"), False: ("✘", "bad", "did not pass"), None: ("·", "none", "not judged")}
    rows = []
    for finding in findings:
        mark, tone, said = marks[finding.passed]
        rows.append(
            element(
                "li",
                element("span", mark, class_=f"mark {tone}", title=said, role="img", aria_label=said),
                element("div", element("b", finding.name), element("div", finding.value)),
            )
        )
    return element("ul", *rows, class_="findings")


def _lists(document: ReportDocument) -> Iterator[Element]:
    for name, lines in (("Lost", document.lost), ("Kept", document.kept)):
        if lines:
            yield element("h3", name)
            yield element("ul", *(element("li", line) for line in lines))


def _pairs(pairs: Mapping[str, str]) -> Element:
    return element(
        "dl", *(part for name, value in pairs.items() for part in (element("dt", name), element("dd", value)))
    )


def _steps(document: ReportDocument) -> Element:
    rows = []
    for step in document.steps:
        took = seconds_of(step.seconds) if step.seconds is not None else "not ended"
        rows.append(
            element(
                "li",
                element("b", step.title),
                element("span", f" {took}, from {step.started:%H:%M:%S}", class_="amount"),
                element("div", step.fact) if step.fact else None,
            )
        )
    return element("ol", *rows, class_="steps")


def _link(link: Link) -> Element:
    """Only web addresses and files in the page's folder can be followed; all else is to be read or pasted."""
    followed = link.where.startswith("https://") or _FILE_NAME.fullmatch(link.where)
    shown = element("a", link.where, href=link.where) if followed else element("code", link.where)
    return element("li", element("b", f"{link.what}: "), shown)


def _foot(document: ReportDocument) -> Element:
    return element("footer", f"Report {document.id}, shape {document.schema_version}. Times are UTC.")


def _title_of(document: ReportDocument, key: str) -> str:
    return next((step.title for step in document.steps if step.key == key), key)


_COLOURS = {
    Phase.PREPARATION: ("#8a6d3b", "#c9a86a"),
    Phase.ENGINE: ("#6f42c1", "#b392f0"),
    Phase.KUBERNETES: ("#1f6feb", "#79b8ff"),
    Phase.BASE_BACKUP: ("#0b7a75", "#56d4cd"),
    Phase.WAL_REPLAY: ("#d9730d", "#ffab70"),
    Phase.VERIFICATION: ("#2e7d32", "#85e89d"),
    Phase.WAITING: ("#c4c9cf", "#484f58"),
    Phase.TRAFFIC: ("#b5179e", "#f78fe0"),
    Phase.CLEAN_UP: ("#6a737d", "#959da5"),
    Phase.OTHER: ("#9aa0a6", "#bdc1c6"),
}
"""A phase's colour by day and by night."""

_STYLE = """
:root { --ink: #1b1f24; --quiet: #57606a; --paper: #ffffff; --panel: #f6f8fa; --line: #d8dee4;
  --good: #1a7f37; --bad: #b42318; --stopped: #8a5a00; DAY }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9da7b1; --paper: #0d1117; --panel: #161b22;
  --line: #30363d; --good: #56d364; --bad: #ff7b72; --stopped: #e3b341; NIGHT } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", Arial, sans-serif; -webkit-text-size-adjust: 100%; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem clamp(1rem, 4vw, 2rem) 3rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.1rem; margin: 0 0 .75rem; }
h3 { font-size: 1rem; margin: .75rem 0 .25rem; }
p { margin: .35rem 0; }
header p { color: var(--quiet); }
code { font: .85em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
section { margin-top: 2rem; }
.outcome { font-size: .9rem; font-weight: 600; padding: .15em .6em; border-radius: 1em; border: 1.5px solid;
  white-space: nowrap; vertical-align: .15em; }
.good { color: var(--good); } .bad { color: var(--bad); } .stopped { color: var(--stopped); }
.failed { border-left: 4px solid var(--bad); padding-left: 1rem; overflow-wrap: anywhere; }
.warning { color: var(--stopped); }
.figures { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(min(9.5rem, 100%), 1fr)); }
.figure { background: var(--panel); border: 1px solid var(--line); border-radius: .6rem; padding: .75rem 1rem;
  color: var(--ink); }
.figure .name { color: var(--quiet); font-size: .85rem; }
.figure .value { font-size: 1.35rem; font-weight: 650; line-height: 1.3; }
.figure.good .value { color: var(--good); } .figure.bad .value { color: var(--bad); }
.figure .said { color: var(--quiet); font-size: .82rem; line-height: 1.4; overflow-wrap: anywhere; }
svg { display: block; overflow: visible; font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
svg text { fill: var(--ink); }
svg .amount { fill: var(--quiet); font-size: inherit; }
svg line.tick { stroke: var(--line); } svg text.tick { fill: var(--quiet); font-size: 12px; }
svg.split { border-radius: 4px; overflow: hidden; }
svg.key { display: inline-block; vertical-align: -1px; }
svg .goal { stroke: var(--bad); stroke-dasharray: 5 4; } svg text.goal { stroke: none; fill: var(--bad); }
svg .line { stroke: var(--quiet); stroke-width: 1.5; } svg .point { fill: var(--phase-kubernetes); }
table { border-collapse: collapse; width: 100%; max-width: 26rem; margin-top: .5rem; }
td { padding: .2rem 0; border-bottom: 1px solid var(--line); }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; padding-left: 1rem; }
ul, ol { margin: 0; padding-left: 1.2rem; } li { margin: .3rem 0; overflow-wrap: anywhere; }
ul.findings { list-style: none; padding: 0; }
ul.findings li { display: flex; gap: .6rem; padding: .35rem 0; margin: 0; border-bottom: 1px solid var(--line); }
.findings .mark { flex: 0 0 1.2rem; text-align: center; font-weight: 700; } .mark.none { color: var(--quiet); }
.findings div div, .steps div { color: var(--quiet); font-size: .92rem; }
.steps .amount { color: var(--quiet); font-size: .92rem; }
dl { display: grid; grid-template-columns: minmax(6.5rem, max-content) 1fr; gap: .3rem 1rem; margin: 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
a { color: var(--phase-kubernetes); }
footer { margin-top: 2.5rem; color: var(--quiet); font-size: .82rem; overflow-wrap: anywhere; }
@media print { section { break-inside: avoid; } }
"""


def _variables(night: int) -> str:
    return " ".join(f"--phase-{phase}: {colours[night]};" for phase, colours in _COLOURS.items())


STYLE = _STYLE.replace("DAY", _variables(0)).replace("NIGHT", _variables(1)) + "".join(
    f".phase-{phase} {{ fill: var(--phase-{phase}); }}\n" for phase in Phase
)
"""The style sheet."""
