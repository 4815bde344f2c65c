"""Health as a person reads it: one line for the whole, then only what is not as it should be."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from dr.cli.console import out
from dr.health.check import Check, State, worst
from dr.health.evaluate import Health

_STYLES = {State.OK: "green", State.WARNING: "yellow", State.CRITICAL: "bold red", State.UNKNOWN: "magenta"}


def show_health(found: Sequence[Health], *, verbose: bool) -> None:
    """A first line as monitoring plugins have it, then each environment."""
    state = worst(health.state for health in found)
    out.print(Text.assemble(("DR ", "bold"), (state.name, _STYLES[state]), " - ", _summary(found)), soft_wrap=True)
    for health in found:
        for check in _told(health, verbose):
            _show(health.environment, check)


def _summary(found: Sequence[Health]) -> str:
    return "; ".join(_in_short(health) for health in found)


def _in_short(health: Health) -> str:
    counted = [check for check in health.checks if check.counts]
    if not counted:
        known = sum(1 for check in health.checks if check.acknowledged)
        beside = f", {known} of them known and left out" if known else ""
        return f"{health.environment}: {len(health.checks)} checks{beside}, in {health.seconds:.1f} s"
    names = ", ".join(check.name for check in sorted(counted, key=lambda check: check.state is not State.CRITICAL))
    return f"{health.environment}: {names}"


def _told(health: Health, verbose: bool) -> Iterator[Check]:
    """The checks to tell of; several that are unknown for one reason stand once."""
    reasons: dict[str, list[str]] = {}
    for check in health.checks:
        if check.state is State.UNKNOWN:
            reasons.setdefault(check.seen, []).append(check.name)
    for check in health.checks:
        if check.state is State.OK and not verbose:
            continue
        names = reasons.get(check.seen, [check.name]) if check.state is State.UNKNOWN else [check.name]
        if check.name == names[0]:
            yield Check(
                name=", ".join(names),
                state=check.state,
                seen=check.seen,
                remedy=check.remedy,
                acknowledged=check.acknowledged,
            )


def _show(environment: str, check: Check) -> None:
    style = "dim" if check.acknowledged else _STYLES[check.state]
    out.print(
        Text.assemble((f"  {check.state.word:8} ", style), (f"{environment} {check.name}: ", "bold"), check.seen),
        soft_wrap=True,
    )
    if check.acknowledged:
        out.print(Text(f"           {check.acknowledged}", style="dim"), soft_wrap=True)
    elif check.remedy:
        out.print(Text.assemble("           ", ("do: ", "bold"), check.remedy), soft_wrap=True)
