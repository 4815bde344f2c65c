"""What ``switchover`` and ``rollback`` have in common: their options, the plan, the question, the run, the report."""

import json
from collections.abc import Callable
from pathlib import Path

import click


def move_options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of every command that moves the traffic."""
    for option in (
        click.option(
            "--take-over", is_flag=True, help="Take the place of an operator, or a Pulumi run, that you know is dead."
        ),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Look, show the plan, change nothing."),
        click.option("--hibernate-old", is_flag=True, help="Take the pods of the Cluster that is left away, too."),
    ):
        function = option(function)
    return function


def move(
    *,
    environment: str,
    config_dir: str | None,
    context: str | None,
    as_json: bool,
    back: bool,
    recovered_name: str | None,
    hibernate_old: bool,
    dry_run: bool,
    yes: bool,
    take_over: bool,
) -> None:
    """Move the traffic forward, or back. Raises a DrError."""
    from dr.cli import rendering, signals
    from dr.cli.confirmation import confirm
    from dr.cli.live import reporter_for
    from dr.cli.setup import open_session, open_stack
    from dr.clients.config_files import load_environment
    from dr.model.traffic import MoveRequest
    from dr.operations.operation import Tools
    from dr.operations.traffic import Move, decide

    signals.interrupt_on_sigterm()
    found = load_environment(environment, Path(config_dir) if config_dir else rendering.PROJECT_FOLDER)
    to = "" if back else recovered_name or found.recovered_cluster
    request = MoveRequest(back=back, to=to, hibernate=hibernate_old)
    session = open_session(found, context, take_over=take_over)
    with rendering.waiting("looking at the clusters, the Service and the engine", quiet=as_json):
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
        confirm(found, decision.plan, decision.reached.name, as_json=as_json)
    with signals.stopping(session.stop), reporter_for(decision.plan, quiet=as_json) as reporter:
        tools = Tools(session=session, stack=stack, journal=journal, reporter=reporter)
        report = Move(tools, decision).run()
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        rendering.show_move(report)
