"""Asking before anything is changed."""

import sys

import click

from dr.model.config import Environment
from dr.model.errors import DeclinedError, RequestError
from dr.model.plan import Plan


def confirm(environment: Environment, plan: Plan, name: str, *, as_json: bool) -> None:
    """Ask, as the environment wants to be asked. Raises DeclinedError, or RequestError where nobody can answer."""
    if as_json or not sys.stdin.isatty():
        raise RequestError(
            "confirmation-impossible",
            "the plan has to be agreed to, and there is no terminal to ask at",
            "add --yes if the plan is agreed to (see it with --dry-run)",
        )
    if environment.confirmation == "name":
        question = f"This stops the writers of {environment.name}. Type {name} to go on"
        agreed = click.prompt(question, default="", show_default=False) == name
    else:
        agreed = click.confirm(f"Go on with {len(plan.steps)} steps on {environment.name}?")
    if not agreed:
        raise DeclinedError(
            "declined", "not agreed to; nothing was changed", f"type {name} to agree, or y where asked y/n"
        )
