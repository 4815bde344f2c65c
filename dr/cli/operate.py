"""What every command that changes something goes through: look, plan, show, ask, run, report."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from dr.cli.options import config_folder
from dr.core.errors import DeclinedError, DrError, RequestError

if TYPE_CHECKING:
    from dr.config.environment import Environment, Override
    from dr.core.plan import Plan
    from dr.run.operation import OperationContext, Report
    from dr.run.session import Session


@dataclass(frozen=True, kw_only=True)
class PlannedOperation:
    """A decision, ready to be agreed to: its plan, what to type for a yes, and how to do it and tell of it.

    ``consequence`` is what a yes brings about, for the question; ``by_name`` wants the name whatever the environment.
    """

    plan: "Plan"
    name: str
    consequence: str
    by_name: bool = False
    run: "Callable[[OperationContext], Report]"
    show: Callable[[Any], None]


@dataclass(frozen=True, kw_only=True)
class OperationSpec:
    """What was asked for: the operation's name, and how to look and decide."""

    operation: str
    decide: "Callable[[Session], PlannedOperation]"


agreement_options = (
    click.option(
        "--confirm", "confirmed", metavar="NAME", help="With --yes: the Cluster's name, if a typed name is required."
    ),
    click.option("--yes", is_flag=True, help="Skip the prompt. If a typed name is required, pass it with --confirm."),
)


def operation_options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of every command that changes something in an environment."""
    return plan_options(override_option(function))


def plan_options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of every command that plans, asks, and does."""
    for option in (
        click.option("--take-over", is_flag=True, help="Take over the lock of a dead operator or Pulumi run."),
        *agreement_options,
        click.option("--dry-run", is_flag=True, help="Look, show the plan, change nothing."),
    ):
        function = option(function)
    return function


def operate(
    ask: "Callable[[Environment], OperationSpec]",
    *,
    environment: str,
    config_dir: str | None,
    context: str | None,
    as_json: bool,
    dry_run: bool,
    yes: bool,
    confirmed: str | None,
    take_over: bool,
    overrides: tuple[str, ...] = (),
    last: bool = True,
) -> "Report | None":
    """Do what ``ask`` makes of the environment, and tell of it; as JSON only if it is the ``last`` thing to tell of.

    Returns the report, None after a dry run. Raises a DrError.
    """
    from dr.cli import console, signals
    from dr.cli.progress import reporter_for
    from dr.cli.wiring import open_operation
    from dr.config.load import load_environment
    from dr.run.operation import OperationContext
    from dr.run.session import utc_now

    signals.interrupt_on_sigterm()
    found = load_environment(environment, config_folder(config_dir))
    asked = ask(found)
    typed = read_overrides(overrides, now=utc_now())
    with console.waiting("looking at the cluster, the backups and the engine", quiet=as_json) as say:
        opened = open_operation(
            found, context, asked.operation, asked.decide, take_over=take_over, typed=typed, dry_run=dry_run, say=say
        )
    session, journal, agreed = opened.session, opened.journal, opened.decided
    if console.planned_only(agreed.plan, dry_run=dry_run, as_json=as_json):
        return None
    agreement = Agreement(
        steps=len(agreed.plan.steps),
        environment=found.name,
        name=agreed.name,
        consequence=agreed.consequence,
        by_name=agreed.by_name or found.confirmation == "name",
    )
    agree(agreement, as_json=as_json, yes=yes, confirmed=confirmed)
    try:
        with signals.stopping(session.stop), reporter_for(agreed.plan, quiet=as_json) as reporter:
            operation_context = OperationContext(
                session=session, stack=opened.stack, journal=journal, reporter=reporter
            )
            report = agreed.run(operation_context)
    except DrError as error:
        if error.code not in _TO_AGREE_TO or not _can_ask(as_json=as_json, yes=yes):
            raise
        # What was agreed to has grown, and users wait: the plan that has it is shown and asked for at once.
        console.show_error(error)
        try:
            return operate(
                ask,
                environment=environment,
                config_dir=config_dir,
                context=context,
                as_json=as_json,
                dry_run=dry_run,
                yes=yes,
                confirmed=confirmed,
                take_over=take_over,
                overrides=overrides,
                last=last,
            )
        except DrError as later:
            later.stopped = later.stopped or error.stopped
            raise
    kept_at = str(operation_context.report_data.kept_at or "")
    if not as_json:
        agreed.show(report)
    console.show_kept(
        "" if as_json else kept_at, not_kept=operation_context.report_data.not_kept, unwritten=journal.unwritten
    )
    if as_json and last:
        click.echo(json.dumps({**report.as_json(), "report": kept_at}, indent=2))
    return report


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What has to be agreed to: ``consequence`` is what a yes brings about ("stops the writers of prod"), ``name`` the
    Cluster that it is about, which has to be typed when ``by_name``.
    """

    steps: int
    environment: str
    name: str
    consequence: str
    by_name: bool


def agree(wanted: Agreement, *, as_json: bool, yes: bool, confirmed: str | None) -> None:
    """See that the plan is agreed to: by ``--yes``, with ``--confirm NAME`` where the name is wanted, or by asking.

    Raises DeclinedError, or RequestError where the options do not agree to it and nobody can be asked.
    """
    name = wanted.name
    if confirmed is not None and confirmed != name:
        raise RequestError(
            "confirmation-wrong",
            f"--confirm {confirmed!r} is not the Cluster that this is about, {name}",
            "look at the plan (--dry-run): is it the right environment?",
        )
    if yes and (confirmed == name or not wanted.by_name):
        return
    if not _can_ask(as_json=as_json, yes=yes):
        raise RequestError(
            "confirmation-impossible",
            f"the plan must be confirmed{', by name' if wanted.by_name else ''}, and there is no terminal to ask on",
            f"add --yes{f' --confirm {name}' if wanted.by_name else ''} to confirm it (see it with --dry-run)",
        )
    _ask(wanted)


_TO_AGREE_TO = {"more-left-behind", "left-behind-unknown"}
"""How an operation stops that needs another agreement, and nothing else, to continue."""


def _can_ask(*, as_json: bool, yes: bool) -> bool:
    return not as_json and not yes and sys.stdin is not None and sys.stdin.isatty()


def _ask(wanted: Agreement) -> None:
    """Ask on the terminal. Raises DeclinedError."""
    if wanted.by_name:
        question = f"This {wanted.consequence}. Type {wanted.name} to continue"
        agreed = click.prompt(question, default="", show_default=False) == wanted.name
    else:
        agreed = click.confirm(f"Continue with {wanted.steps} steps on {wanted.environment}?")
    if not agreed:
        raise DeclinedError("declined", "not agreed to", f"type {wanted.name} to agree, or y where asked y/n")


_RUN = timedelta(hours=4)

override_option: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--override",
    "overrides",
    multiple=True,
    metavar="RULE=RESOURCE",
    help="Let a change pass that the guard refuses: its rule and its resource, typed as the refusal names them.",
)


def read_overrides(given: Sequence[str], *, now: datetime) -> tuple["Override", ...]:
    """The overrides that were typed. Raises RequestError ``override-malformed``."""
    return tuple(_read(text, now) for text in given)


def _read(text: str, now: datetime) -> "Override":
    from dr.config.environment import Override, Rule
    from dr.core.errors import RequestError

    rule, _, resource = text.partition("=")
    if rule not in set(Rule) or not resource:
        raise RequestError(
            "override-malformed",
            f"--override {text!r} is not a rule of the guard and a resource",
            f"write RULE=RESOURCE as the refusal names them; the rules: {', '.join(Rule)}",
        )
    return Override(rule=Rule(rule), resource=resource, reason="typed with --override", until=now + _RUN)
