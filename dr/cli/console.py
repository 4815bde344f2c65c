"""Plans, reports and failures, as a person reads them under stress: the fact first, then what to do."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from dr.core.errors import DrError, RefusedError
from dr.core.plan import Plan
from dr.recovery.report import FinalizeReport, MoveReport, RecoveryReport
from dr.status.advice import Status

PROJECT_FOLDER = Path(__file__).resolve().parents[2]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def waiting(what: str, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show that something is going on, on a terminal. Gives a way to say more: in its place, or elsewhere in lines."""
    if quiet:
        yield lambda _: None
    elif err.is_terminal:
        with err.status(what) as status:
            yield status.update
    else:
        yield lambda said: err.print(Text(said), soft_wrap=True)


def note(text: str) -> None:
    """One line on stdout."""
    out.print(Text(text), soft_wrap=True)


def show_plan(plan: Plan) -> None:
    """The plan: what will be touched, what to know, and the steps with their way back."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in plan.facts.items():
        facts.add_row(Text(name, style="bold"), Text(value))
    steps = Table.grid(padding=(0, 2))
    for number, step in enumerate(plan.steps, start=1):
        done = (f"; done when {step.done_when}", "dim") if step.done_when else ""
        steps.add_row(str(number), Text(step.title, style="bold"), Text.assemble(step.detail, done))
    parts: list[Any] = [facts, "", steps]
    out.print(Panel(Group(*parts), title=f"Plan: {plan.operation} on {plan.environment}", title_align="left"))
    for warning in plan.warnings:
        out.print(Text(f"! {warning}", style="yellow"), soft_wrap=True)
    if undo := list(dict.fromkeys(command for step in plan.steps for command in step.undo)):
        out.print(Text("To take it back:", style="bold"))
        for command in undo:
            out.print(Text(f"  {command}"), soft_wrap=True)


def planned_only(plan: Plan, *, dry_run: bool, as_json: bool) -> bool:
    """Show a plan before anybody is asked, and say whether that was all that was wanted."""
    if as_json and dry_run:
        click.echo(json.dumps({"plan": plan.as_json(), "dryRun": True}, indent=2))
    elif not as_json:
        show_plan(plan)
        if dry_run:
            note("Dry run: nothing was changed.")
    return dry_run


def show_report(report: RecoveryReport) -> None:
    """What came of it, how long it took, and what to do next."""
    cluster = report.decision.cluster
    checks = Table.grid(padding=(0, 2))
    for name, value, passed in report.findings:
        mark = Text("✔", style="green") if passed else Text("·", style="dim")
        checks.add_row(mark, Text(name), Text(value, style="bold"))
    out.print()
    out.print(f"[bold green]Recovered[/] {cluster.name} to {report.decision.request.target or 'the end of the WAL'}")
    out.print(Padding(checks, (0, 0, 0, 2)))
    out.print(
        f"RTO so far [bold]{report.seconds:.1f} s[/] from your yes to verified, of which CloudNativePG took "
        f"{report.cluster_seconds:.1f} s from creation to healthy.",
        soft_wrap=True,
    )
    out.print("\n[bold]Next: move the traffic[/] (nothing below has been done yet)")
    for line in report.next_commands:
        out.print(Text(f"  {line}"), soft_wrap=True)
    out.print("or by hand:")
    for line in report.by_hand:
        out.print(Text(f"  {line}", style="dim"), soft_wrap=True)
    out.print("\n[bold]When it has proved itself[/]: make it the canonical one, in Git too, and delete the old one")
    for line in report.later:
        out.print(Text(f"  {line}"), soft_wrap=True)
    out.print(Text(f"\nJournal: {report.journal}", style="dim"), soft_wrap=True)


def show_move(report: MoveReport) -> None:
    """Where the traffic goes now, and the way back."""
    decision = report.decision
    moved = f"{report.environment.service} to {decision.host} in {report.seconds:.1f} s"
    out.print(Text.assemble(("\nMoved ", "bold green"), moved), soft_wrap=True)
    if report.smoke:
        out.print(Text(f"  smoke test: {report.smoke}"), soft_wrap=True)
    if decision.fence:
        out.print(Text(f"  {decision.fence.name} keeps its data and takes no more writes"), soft_wrap=True)
    for line in report.next_commands:
        out.print(Text.assemble(("The way back: ", "bold"), line), soft_wrap=True)
    out.print(Text(f"\nJournal: {report.journal}", style="dim"), soft_wrap=True)


def show_finalize(report: FinalizeReport) -> None:
    """What is canonical now, or what has to be merged first."""
    decision, git = report.decision, report.decision.git
    if decision.proposal and git:
        out.print(Text.assemble(("\nWritten ", "bold green"), f"branch {git.branch} in {git.root}"), soft_wrap=True)
        out.print("[bold]Next: have it merged, then give the same command again[/] (nothing was deleted)")
    else:
        said = f"{decision.canonical.name} is the Cluster of {report.environment.name}, in {report.seconds:.1f} s"
        out.print(Text.assemble(("\nFinalized ", "bold green"), said), soft_wrap=True)
        for key, _, fact in report.steps:
            out.print(Text(f"  {key}: {fact}", style="dim"), soft_wrap=True)
    for line in report.next_commands:
        out.print(Text(f"  {line}"), soft_wrap=True)
    out.print(Text(f"\nJournal: {report.journal}", style="dim"), soft_wrap=True)


def show_kept(path: str) -> None:
    """Where the report was kept."""
    if path:
        out.print(Text(f"Report: {path}", style="dim"), soft_wrap=True)


def show_status(status: Status) -> None:
    """Where things stand, at a glance, and the next command."""
    facts = Table.grid(padding=(0, 2))
    for cluster in status.as_json()["clusters"]:
        marks = [
            *(["serves the traffic"] if cluster["serves"] else []),
            *(["fenced"] if cluster["fenced"] else []),
            *([f"recovered to {cluster['recoveredTo']}"] if cluster["recoveredTo"] else []),
            *(["verified"] if cluster["verified"] else []),
            *(["archiving fails"] if cluster["archiving"] is False else []),
        ]
        good = Text("✔", style="green") if cluster["healthy"] else Text("✘", style="red")
        state = "; ".join([cluster["phase"] or "just made", *marks])
        facts.add_row(good, Text(cluster["name"], style="bold"), Text(state))
    counts = ", ".join(
        f"{name} {workload.replicas if workload else 'missing'}" for name, workload in status.workloads.items()
    )
    facts.add_row(
        "", Text("Service", style="bold"), Text(f"{status.environment.service} -> {status.external_name or 'missing'}")
    )
    facts.add_row("", Text("Workloads", style="bold"), Text(counts))
    if status.wish.wish:
        facts.add_row("", Text("Asked for", style="bold"), Text(f"in the file: {status.wish}"))
    if status.at_work:
        facts.add_row("", Text("At work", style="bold"), Text(status.at_work, style="yellow"))
    out.print(Panel(facts, title=f"{status.environment.name}", title_align="left"))
    if last := status.last:
        when = f"{last.started:%Y-%m-%d %H:%M:%S} UTC"
        out.print(f"Last: {last.operation} by {last.user}, {when}, [bold]{last.outcome}[/]")
        for step in last.steps:
            mark = ("  done  ", "green") if step.ended else ("  begun ", "yellow")
            out.print(Text.assemble(mark, step.key, "  ", (step.fact, "dim")), soft_wrap=True)
        if last.cause:
            out.print(Text(f"  {last.cause}", style="yellow"), soft_wrap=True)
    out.print(Text("Next", style="bold"))
    for advice in status.advice:
        out.print(Text(f"  {advice.command}   # {advice.why}"), soft_wrap=True)


def show_error(error: DrError) -> None:
    """What happened, what to do about it, and how things stand."""
    problems = error.problems if isinstance(error, RefusedError) else (error,)
    for problem in problems:
        err.print(Text.assemble((f"{error.family}: ", "bold red"), problem.cause), soft_wrap=True)
        err.print(Text.assemble(("  do: ", "bold"), problem.remedy), soft_wrap=True)
    stopped = error.stopped
    if stopped is None:
        err.print(Text("Nothing was changed.", style="dim"))
        return
    err.print(f"\nStopped in [bold]{stopped.at.title}[/].")
    marks = [(("  done  ", "green"), step) for step in stopped.done] + [(("  begun ", "yellow"), stopped.at)]
    for mark, step in marks:
        err.print(Text.assemble(mark, step.title))
    if undo := list(dict.fromkeys(command for _, step in marks for command in step.undo)):
        err.print(Text("To take it back:", style="bold"))
        for command in undo:
            err.print(Text(f"  {command}"), soft_wrap=True)
    err.print(Text.assemble(("To go on: ", "bold"), stopped.go_on), soft_wrap=True)
    err.print(Text(f"Journal: {stopped.journal}", style="dim"), soft_wrap=True)
    if stopped.report:
        err.print(Text(f"Report: {stopped.report}", style="dim"), soft_wrap=True)


def error_as_json(error: DrError) -> dict[str, Any]:
    """The same as values."""
    problems = error.problems if isinstance(error, RefusedError) else (error,)
    stopped = error.stopped
    return {
        "error": error.family,
        "exitCode": error.exit_code,
        "problems": [{"code": item.code, "cause": item.cause, "remedy": item.remedy} for item in problems],
        "changed": stopped is not None,
        "stopped": stopped
        and {
            "at": stopped.at.key,
            "done": [step.key for step in stopped.done],
            "undo": [command for step in (*stopped.done, stopped.at) for command in step.undo],
            "goOn": stopped.go_on,
            "journal": stopped.journal,
            "report": stopped.report,
        },
    }
