"""Health in Prometheus' text format, written by Prometheus' own library."""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dr.health.evaluate import Health

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
