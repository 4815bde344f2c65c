"""The health of an environment as a whole, and what is configured of it."""

from datetime import timedelta

import pytest

from dr.config.health import CHECKS, DownTo, UpTo
from dr.core.errors import ConfigError
from dr.core.text import format_duration
from dr.health.check import State, graded, worst
from dr.health.evaluate import as_json, judge
from dr.health.snapshot import BackupObjects
from tests.support.builders import an_environment
from tests.support.health_fixtures import SEEN_AT, a_schedule, a_snapshot, checks

SUSPENDED = BackupObjects(runs=(), schedules=(a_schedule(suspended=True),))


def test_everything_in_order_is_silent() -> None:
    found = judge(an_environment(), a_snapshot(), seconds=0.5)
    assert [check.name for check in found.checks if check.state is not State.OK] == []
    assert found.state is State.OK
    assert tuple(check.name for check in found.checks) == CHECKS
    assert not any(check.remedy for check in found.checks)


def test_whatever_is_not_ok_says_what_helps() -> None:
    for changes in ({"backups": SUSPENDED}, {"seen_at": SEEN_AT + timedelta(days=5)}):
        for check in checks(**changes).values():
            assert bool(check.remedy) is (check.state is not State.OK), check


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ((), State.OK),
        ((State.OK, State.UNKNOWN), State.UNKNOWN),
        ((State.UNKNOWN, State.WARNING), State.WARNING),
        ((State.WARNING, State.CRITICAL, State.UNKNOWN), State.CRITICAL),
    ],
)
def test_the_worst_counts_and_the_unknown_less_than_the_wrong(states: tuple[State, ...], whole: State) -> None:
    assert worst(states) is whole


def test_bounds_are_reached_from_either_side() -> None:
    up, down = UpTo(warning=2, critical=4), DownTo(warning=4, critical=2)
    assert [graded(value, up) for value in (1, 2, 4)] == [State.OK, State.WARNING, State.CRITICAL]
    assert [graded(value, down) for value in (5, 4, 2)] == [State.OK, State.WARNING, State.CRITICAL]


def _known(until: str) -> dict[str, object]:
    return {"health": {"acknowledged": [{"check": "schedule", "until": until, "why": "moved on Monday"}]}}


def test_what_is_known_does_not_count_until_its_day() -> None:
    day = SEEN_AT.date()
    found = judge(an_environment(**_known(day.isoformat())), a_snapshot(backups=SUSPENDED), seconds=0.5)
    (known,) = [check for check in found.checks if check.acknowledged]
    assert (known.name, known.state, found.state) == ("schedule", State.WARNING, State.OK)
    assert "moved on Monday" in known.acknowledged
    late = _known((day - timedelta(days=1)).isoformat())
    assert judge(an_environment(**late), a_snapshot(backups=SUSPENDED), seconds=0.5).state is State.WARNING


def test_what_is_known_and_over_is_no_more_told() -> None:
    found = judge(an_environment(**_known("2026-12-31")), a_snapshot(), seconds=0.5)
    assert not any(check.acknowledged for check in found.checks)


@pytest.mark.parametrize(
    ("health", "word"),
    [
        ({"baseBackupAgeHours": {"warning": 50, "critical": 26}}, "write the smaller one first"),
        ({"certificateDays": {"warning": 2, "critical": 6}}, "write the larger one first"),
        ({"acknowledged": [{"check": "colour", "until": "2026-12-31", "why": "x"}]}, "is not a known check"),
        ({"speed": 1}, "unknown key postgres-dr:health.speed"),
        ({"sizeRatio": 0.5}, "postgres-dr:health.sizeRatio is 0.5"),
    ],
)
def test_nonsense_is_refused(health: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        an_environment(health=health)
    assert word in f"{caught.value.cause}; {caught.value.remedy}"


def test_the_document_has_its_schema_and_every_check() -> None:
    found = judge(an_environment(), a_snapshot(backups=SUSPENDED), seconds=0.25)
    told = as_json((found,))
    assert (told["schema"], told["state"], told["exitCode"]) == ("postgres-dr/health/1", "warning", 1)
    (environment,) = told["environments"]
    assert (environment["environment"], environment["seconds"]) == ("prod", 0.25)
    by_name = {check["name"]: check for check in environment["checks"]}
    assert by_name["schedule"]["state"] == "warning"
    assert by_name["base-backup"]["values"]["base_backups_total"] == 5
    assert environment["rto"]["now"]["seconds"] > 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.25 s"),
        (75, "75 s"),
        (119.6, "120 s"),
        (150, "2.5 min"),
        (5400, "90 min"),
        (9000, "2.5 h"),
        (864000, "10 d"),
    ],
)
def test_durations_are_told_in_the_unit_that_people_use(seconds: float, text: str) -> None:
    assert format_duration(seconds) == format_duration(timedelta(seconds=seconds)) == text
