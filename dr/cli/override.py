"""``--override RULE=RESOURCE``: taking a rule of the guard upon oneself, for one run."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dr.config.guard_rules import Override

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
    from dr.config.guard_rules import Override, Rule
    from dr.core.errors import RequestError

    rule, _, resource = text.partition("=")
    if rule not in set(Rule) or not resource:
        raise RequestError(
            "override-malformed",
            f"--override {text!r} is not a rule of the guard and a resource",
            f"write RULE=RESOURCE as the refusal names them; the rules: {', '.join(Rule)}",
        )
    return Override(rule=Rule(rule), resource=resource, reason="typed with --override", until=now + _RUN)
