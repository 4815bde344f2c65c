"""Asking before anything is changed."""

import sys
from dataclasses import dataclass

import click

from dr.core.errors import DeclinedError, RequestError


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

    Raises DeclinedError, or RequestError where the options are no agreement and nobody can be asked.
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
    if as_json or yes or not sys.stdin.isatty():
        raise RequestError(
            "confirmation-impossible",
            f"the plan has to be agreed to{', by name' if wanted.by_name else ''}, and there is nobody to ask",
            f"add --yes{f' --confirm {name}' if wanted.by_name else ''} if it is agreed to (see it with --dry-run)",
        )
    _ask(wanted)


def _ask(wanted: Agreement) -> None:
    """Ask on the terminal. Raises DeclinedError."""
    if wanted.by_name:
        question = f"This {wanted.consequence}. Type {wanted.name} to go on"
        agreed = click.prompt(question, default="", show_default=False) == wanted.name
    else:
        agreed = click.confirm(f"Go on with {wanted.steps} steps on {wanted.environment}?")
    if not agreed:
        raise DeclinedError(
            "declined", "not agreed to; nothing was changed", f"type {wanted.name} to agree, or y where asked y/n"
        )
