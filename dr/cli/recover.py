"""What the commands that recover have in common: their options, the plan, the question, the run, the report."""

import json
from collections.abc import Callable
from pathlib import Path

import click


def recovery_options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of every command that recovers."""
    for option in (
        click.option(
            "--take-over",
            is_flag=True,
            help="Take the place of an operator, or a Pulumi run, that is known to be dead.",
        ),
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
    take_over: bool,
) -> None:
    """Recover to ``target_time``, or to the end of the WAL without one. Raises a DrError."""
    from dr.cli import rendering, signals
    from dr.cli.confirmation import confirm
    from dr.cli.live import reporter_for
    from dr.cli.setup import open_session, open_stack
    from dr.clients.config_files import load_environment
    from dr.model.preconditions import RecoveryRequest
    from dr.model.target import RecoveryTarget
    from dr.operations.operation import Tools
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
    session = open_session(found, context, take_over=take_over)
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
        tools = Tools(session=session, stack=stack, journal=journal, reporter=reporter)
        report = Recovery(tools, decision).run()
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        rendering.show_report(report)
