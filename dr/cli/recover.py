"""What the commands that recover have in common: their options, the plan, the question, the run, the report."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dr.model.config import Environment
    from dr.model.plan import Plan


def recovery_options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of every command that recovers."""
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Look, show the plan, change nothing."),
        click.option("--continue", "go_on", is_flag=True, help="Go on with a recovered Cluster that is there already."),
        click.option(
            "--recovered-name", help="The recovered Cluster's name.  [default: recoveredCluster of the environment]"
        ),
    ):
        function = option(function)
    return function


def recover(
    *,
    environment: str,
    config_dir: str | None,
    context: str | None,
    as_json: bool,
    target_time: str | None,
    recovered_name: str | None,
    go_on: bool,
    skip_seal: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Recover to ``target_time``, or to the end of the WAL without one. Raises a DrError."""
    from dr.cli import rendering, signals
    from dr.cli.live import reporter_for
    from dr.cli.setup import open_session, open_stack
    from dr.clients.config_files import load_environment
    from dr.model.preconditions import RecoveryRequest
    from dr.model.target import RecoveryTarget
    from dr.operations.recovery import Recovery, decide
    from dr.operations.session import utc_now

    signals.interrupt_on_sigterm()
    found = load_environment(environment, Path(config_dir) if config_dir else rendering.PROJECT_FOLDER)
    request = RecoveryRequest(
        target=RecoveryTarget.parse(target_time, now=utc_now()) if target_time is not None else None,
        recovered_name=recovered_name or found.recovered_cluster,
        go_on=go_on,
        seal=not skip_seal,
    )
    session = open_session(found, context)
    with rendering.waiting("looking at the cluster, the backups and the engine", quiet=as_json):
        stack, journal = open_stack(session, request.operation)
        decision = decide(session, request)
    if dry_run and as_json:
        click.echo(json.dumps({"plan": decision.plan.as_json(), "dryRun": True}, indent=2))
        return
    if not as_json:
        rendering.show_plan(decision.plan)
    if dry_run:
        rendering.note("Dry run: nothing was changed.")
        return
    if not yes:
        confirm(found, decision.plan, decision.cluster.name, as_json=as_json)
    with signals.stopping(session.stop), reporter_for(decision.plan, quiet=as_json) as reporter:
        report = Recovery(session, decision, stack=stack, journal=journal, reporter=reporter).run()
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        rendering.show_report(report)


def confirm(environment: "Environment", plan: "Plan", name: str, *, as_json: bool) -> None:
    """Ask, as the environment wants to be asked. Raises DeclinedError, or RequestError where nobody can answer."""
    from dr.model.errors import DeclinedError, RequestError

    if as_json or not sys.stdin.isatty():
        raise RequestError(
            "confirmation-impossible",
            "the plan has to be agreed to, and there is no terminal to ask at",
            "add --yes if the plan is agreed to (see it with --dry-run)",
        )
    if environment.confirmation == "name":
        question = f"This stops the writers of {environment.name}. Type the recovered cluster's name to go on"
        agreed = click.prompt(question, default="", show_default=False) == name
    else:
        agreed = click.confirm(f"Go on with {len(plan.steps)} steps on {environment.name}?")
    if not agreed:
        raise DeclinedError(
            "declined", "not agreed to; nothing was changed", f"type {name} to agree, or y where asked y/n"
        )
