"""Asking before anything is changed."""

import sys

import click

from dr.model.config import Environment
from dr.model.errors import DeclinedError, RequestError
from dr.model.plan import Plan


def agree(environment: Environment, plan: Plan, name: str, *, as_json: bool, yes: bool, confirmed: str | None) -> None:
    """See that the plan is agreed to: by ``--yes``, with ``--confirm NAME`` where the environment wants the name, or by
    asking. Raises DeclinedError, or RequestError where the options are no agreement and nobody can be asked.
    """
    if confirmed is not None and confirmed != name:
        raise RequestError(
            "confirmation-wrong",
            f"--confirm {confirmed!r} is not the Cluster that this is about, {name}",
            "look at the plan (--dry-run): is it the right environment?",
        )
    by_name = environment.confirmation == "name"
    if yes and (confirmed == name or not by_name):
        return
    if as_json or yes or not sys.stdin.isatty():
        raise RequestError(
            "confirmation-impossible",
            f"the plan has to be agreed to{', by name' if by_name else ''}, and there is nobody to ask",
            f"add --yes{f' --confirm {name}' if by_name else ''} if it is agreed to (see it with --dry-run)",
        )
    confirm(environment, plan, name)


def confirm(environment: Environment, plan: Plan, name: str) -> None:
    """Ask, as the environment wants to be asked. Raises DeclinedError."""
    if environment.confirmation == "name":
        question = f"This stops the writers of {environment.name}. Type {name} to go on"
        agreed = click.prompt(question, default="", show_default=False) == name
    else:
        agreed = click.confirm(f"Go on with {len(plan.steps)} steps on {environment.name}?")
    if not agreed:
        raise DeclinedError(
            "declined", "not agreed to; nothing was changed", f"type {name} to agree, or y where asked y/n"
        )
