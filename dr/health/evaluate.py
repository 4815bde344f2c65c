"""The whole health of an environment: every check, in one order, and what they come to together. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dr.config.environment import Environment
from dr.config.health import CHECKS
from dr.health.backups import checks_of_backups
from dr.health.bucket import checks_of_bucket
from dr.health.check import Check, State, Unavailable, worst
from dr.health.cluster import checks_of_cluster
from dr.health.rto import RtoOutlook, checks_of_rto, outlook
from dr.health.snapshot import HealthSnapshot
from dr.health.versions import checks_of_versions
from dr.health.wal import checks_of_wal
from dr.health.wal_content import checks_of_wal_content

SCHEMA = "postgres-dr/health/1"
"""Of the JSON. The number goes up when a key changes its meaning or goes."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """What was found in one environment; ``seconds`` is how long the look took."""

    environment: str
    seen_at: datetime
    seconds: float
    checks: tuple[Check, ...]
    rto: RtoOutlook | None

    @property
    def state(self) -> State:
        """The worst that counts."""
        return worst(check.state for check in self.checks if not check.acknowledged)

    def as_json(self) -> Mapping[str, Any]:
        """As values."""
        return {
            "environment": self.environment,
            "state": self.state.word,
            "seenAt": self.seen_at.isoformat(),
            "seconds": round(self.seconds, 3),
            "checks": [
                {
                    "name": check.name,
                    "state": check.state.word,
                    "seen": check.message,
                    "remedy": check.remedy or None,
                    "acknowledged": check.acknowledged or None,
                    "values": dict(check.values),
                }
                for check in self.checks
            ],
            "rto": self.rto.as_json() if self.rto else None,
        }


def judge(environment: Environment, snapshot: HealthSnapshot, *, seconds: float) -> Health:
    """What ``snapshot`` means for ``environment``."""
    settings = environment.health
    found = {check.name: check for check in _checks(environment, snapshot)}
    known = {name: settings.acknowledgement(name, snapshot.seen_at) for name in CHECKS}
    return Health(
        environment=environment.name,
        seen_at=snapshot.seen_at,
        seconds=seconds,
        checks=tuple(
            replace(found[name], acknowledged=known[name] if found[name].state is not State.OK else "")
            for name in CHECKS
        ),
        rto=outlook(snapshot, environment),
    )


def as_json(found: tuple[Health, ...]) -> Mapping[str, Any]:
    """All environments as one document."""
    state = worst(health.state for health in found)
    return {
        "schema": SCHEMA,
        "state": state.word,
        "exitCode": int(state),
        "environments": [health.as_json() for health in found],
    }


def _engine(snapshot: HealthSnapshot) -> Check:
    """Whether a run from this machine would get what it needs of Pulumi."""
    seen = snapshot.engine
    if not isinstance(seen, Unavailable):
        return Check(name="engine", state=State.OK, message=seen)
    if seen.code == "no-answer":
        return seen.as_check("engine")
    return Check(name="engine", state=State.WARNING, message=seen.why, remedy=seen.remedy)


def _checks(environment: Environment, snapshot: HealthSnapshot) -> Iterator[Check]:
    settings = environment.health
    yield from checks_of_cluster(snapshot, environment)
    yield from checks_of_wal(snapshot, settings)
    yield from checks_of_wal_content(snapshot)
    yield from checks_of_backups(snapshot, settings)
    yield from checks_of_bucket(snapshot, environment)
    yield from checks_of_versions(snapshot, settings)
    yield _engine(snapshot)
    yield from checks_of_rto(snapshot, environment)
