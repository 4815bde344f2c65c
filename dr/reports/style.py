"""How the report's page looks, on a telephone, on a wide screen, in the dark and on paper."""

from dr.reports.phases import Phase

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
