"""Health as a person reads it, and in Prometheus' text format."""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
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
            reasons.setdefault(check.message, []).append(check.name)
    for check in health.checks:
        if check.state is State.OK and not verbose:
            continue
        names = reasons.get(check.message, [check.name]) if check.state is State.UNKNOWN else [check.name]
        if check.name == names[0]:
            yield Check(
                name=", ".join(names),
                state=check.state,
                message=check.message,
                remedy=check.remedy,
                acknowledged=check.acknowledged,
            )


def _show(environment: str, check: Check) -> None:
    style = "dim" if check.acknowledged else _STYLES[check.state]
    out.print(
        Text.assemble((f"  {check.state.word:8} ", style), (f"{environment} {check.name}: ", "bold"), check.message),
        soft_wrap=True,
    )
    if check.acknowledged:
        out.print(Text(f"           {check.acknowledged}", style="dim"), soft_wrap=True)
    elif check.remedy:
        out.print(Text.assemble("           ", ("do: ", "bold"), check.remedy), soft_wrap=True)


_PREFIX = "postgres_dr"
_HELP = {
    "state": "The state of a check: 0 ok, 1 warning, 2 critical, 3 unknown.",
    "acknowledged": "1 when a finding of the check is known and does not count.",
    "environment_state": "The worst state that counts.",
    "look_seconds": "How long the look took.",
    "seen_timestamp_seconds": "When it was looked.",
}


class _Collector(Collector):
    """The measures of one look."""

    def __init__(self, found: Sequence[Health]) -> None:
        self._found = found

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """One family for each measure, with the environments as labels."""
        of_checks = {name: _family(f"health_check_{name}", _HELP[name], "check") for name in ("state", "acknowledged")}
        of_environments = {
            name: _family(f"health_{name}", _HELP[name])
            for name in ("environment_state", "look_seconds", "seen_timestamp_seconds")
        }
        measured: dict[str, GaugeMetricFamily] = {}
        for health in self._found:
            for check in health.checks:
                labels = [health.environment, check.name]
                of_checks["state"].add_metric(labels, check.state)
                of_checks["acknowledged"].add_metric(labels, bool(check.acknowledged))
                for name, value in check.values.items():
                    family = measured.setdefault(name, _family(name, f"As the check {check.name} saw it."))
                    family.add_metric([health.environment], value)
            for name, value in _of(health):
                of_environments[name].add_metric([health.environment], value)
        return [*of_checks.values(), *of_environments.values(), *measured.values()]


def _of(health: Health) -> Iterator[tuple[str, float]]:
    yield "environment_state", health.state
    yield "look_seconds", health.seconds
    yield "seen_timestamp_seconds", health.seen_at.timestamp()


def _family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", text, labels=["environment", *labels])


def exposition(found: Sequence[Health]) -> str:
    """The text that a scrape, or node_exporter's textfile collector, takes."""
    registry = CollectorRegistry()
    registry.register(_Collector(found))
    return generate_latest(registry).decode()
