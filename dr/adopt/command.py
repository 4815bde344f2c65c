"""``dr adopt``: what Terraform made becomes the stacks', unchanged."""

import json
import os
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import click

from dr.cli.options import config_folder, options

if TYPE_CHECKING:
    from dr.config.infrastructure import Infrastructure, StackConfig
    from dr.engine.infrastructure_stack import InfrastructureStack


@options("adopt")
@click.option(
    "--terraform-state",
    "state",
    required=True,
    type=click.Path(exists=True, dir_okay=False),
    help="What `terraform state pull` wrote, in the old infrastructure/gcp.",
)
@click.option("--stack", "only", type=click.Choice(["durable", "platform"]), help="One of the two.  [default: both]")
@click.option("--leave", metavar="ADDRESS", multiple=True, help="Pass over this one of Terraform's; may be repeated.")
@click.option("--take-over", is_flag=True, help="Take the place of a Pulumi run that you know is dead.")
@click.option("--dry-run", is_flag=True, help="Show what would be imported, change nothing.")
@click.option(
    "--confirm", "confirmed", metavar="PROJECT", help="With --yes: the project's name, if a typed name is required."
)
@click.option("--yes", is_flag=True, help="Skip the prompt. If a typed name is required, pass it with --confirm.")
def command(
    environment: str,
    config_dir: str | None,
    context: str | None,
    as_json: bool,
    state: str,
    only: str | None,
    leave: tuple[str, ...],
    take_over: bool,
    dry_run: bool,
    confirmed: str | None,
    yes: bool,
) -> None:
    """Take over what Terraform made, into the stacks of the environment's infrastructure.

    Each resource of the state is found again by what Google calls it. Nothing that exists is changed: the preview
    must say so, or nothing is imported. What the stacks declare besides is left to the next `pulumi up`.
    """
    from dataclasses import replace

    from dr.adopt.run import adopt, prepare_adoption
    from dr.adopt.terraform import read_terraform
    from dr.adopt.view import show_adopted, show_adoption
    from dr.cli import console, signals
    from dr.cli.operate import Agreement, agree
    from dr.cli.wiring import check_context
    from dr.config.load import infrastructure_of, load_environment

    signals.interrupt_on_sigterm()
    folder = config_folder(config_dir)
    found = load_environment(environment, folder)
    check_context(found, context)
    held = read_terraform(Path(state).read_text(encoding="utf-8", errors="replace"))
    infrastructure = infrastructure_of(found, folder)
    stacks = _stacks(infrastructure, only, take_over=take_over)
    with console.waiting("looking at Google and the state", quiet=as_json):
        report = prepare_adoption(infrastructure, stacks, held, environment=found.name, left=leave)
    if not as_json:
        show_adoption(report)
    if not dry_run:
        if report.count:
            agreement = Agreement(
                steps=report.count,
                environment=found.name,
                name=report.project,
                consequence=f"takes {report.count} resources of {report.project} into Pulumi's state",
                by_name=found.confirmation == "name",
            )
            agree(agreement, as_json=as_json, yes=yes, confirmed=confirmed)
        words = ["--terraform-state", state, *(["--stack", only] if only else [])]
        go_on = found.commands.dr("adopt", *words, *(word for one in leave for word in ("--leave", one)))
        stop = Event()
        for stack, adoption in zip(stacks, report.stacks, strict=True):
            stack.backend.clear_locks(take_over=take_over)
            waiting = console.waiting(f"importing into stack {adoption.stack}", quiet=as_json)
            with signals.stopping(stop), waiting:
                adopt(stack, adoption, go_on=go_on, stop=stop)
        report = replace(report, dry_run=False)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        show_adopted(report)


def _stacks(infrastructure: "Infrastructure", only: str | None, *, take_over: bool) -> "list[InfrastructureStack]":
    """The stacks, neither touched yet. Raises EngineError when Pulumi could not run."""
    from dr.engine.command import find_pulumi
    from dr.engine.infrastructure_stack import InfrastructureStack

    parts: tuple[tuple[str, StackConfig], ...] = (
        ("durable", infrastructure.durable),
        ("platform", infrastructure.platform),
    )
    installed = find_pulumi()
    stacks = [InfrastructureStack(part, installed) for name, part in parts if only in {None, name}]
    for stack in stacks:
        stack.backend.check_passphrase(os.environ)
        stack.backend.check_unlocked(take_over=take_over)
    return stacks
