"""``dr pitr``: recover to a point in time, beside the broken cluster."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr.cli.main import options

if TYPE_CHECKING:
    from dr.model.config import Environment
    from dr.model.plan import Plan


@options("pitr")
@click.option("--target-time", required=True, help="The moment to go back to, with its zone: 2026-04-27T09:55:00Z.")
@click.option("--recovered-name", help="The recovered Cluster's name.  [default: recoveredCluster of the environment]")
@click.option("--continue", "go_on", is_flag=True, help="Go on with a recovered Cluster that is there already.")
@click.option("--skip-seal", is_flag=True, help="Do not archive the newest WAL first: the target is surely archived.")
@click.option("--dry-run", is_flag=True, help="Look, show the plan, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(
    environment: str,
    config_dir: str | None,
    context: str | None,
    as_json: bool,
    target_time: str,
    recovered_name: str | None,
    go_on: bool,
    skip_seal: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Recover the database to a point in time, into a new Cluster.

    The writers are stopped, the source's WAL is sealed, and a new Cluster is recovered from the base backup and the WAL
    up to the target. The source is left as it is, and traffic is not moved: the commands for that are printed.
    """
    from dr.cli import rendering, signals
    from dr.cli.live import reporter_for
    from dr.cli.setup import open_session, open_stack
    from dr.clients.config_files import load_environment
    from dr.model.preconditions import PitrRequest
    from dr.model.target import RecoveryTarget
    from dr.operations.pitr import PointInTimeRecovery, decide
    from dr.operations.session import utc_now

    signals.interrupt_on_sigterm()
    found = load_environment(environment, Path(config_dir) if config_dir else rendering.PROJECT_FOLDER)
    request = PitrRequest(
        target=RecoveryTarget.parse(target_time, now=utc_now()),
        recovered_name=recovered_name or found.recovered_cluster,
        go_on=go_on,
        seal=not skip_seal,
    )
    session = open_session(found, context)
    with rendering.waiting("looking at the cluster, the backups and the engine", quiet=as_json):
        stack, journal = open_stack(session)
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
        _confirm(found, decision.plan, decision.cluster.name, as_json=as_json)
    with signals.stopping(session.stop), reporter_for(decision.plan, quiet=as_json) as reporter:
        report = PointInTimeRecovery(session, decision, stack=stack, journal=journal, reporter=reporter).run()
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        rendering.show_report(report)


def _confirm(environment: "Environment", plan: "Plan", name: str, *, as_json: bool) -> None:
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
