"""How long a recovery would take."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dr.core.plan import Phase
from dr.health.check import State
from dr.health.rto import outlook
from dr.reports.rto import GIB, Coefficients, Measured, coefficients_of, interval_within, learn, measured_of, predict
from tests.support.archives import archive, at, backup, wal
from tests.support.builders import NOW, an_environment
from tests.support.health_fixtures import ARCHIVED, UNSEEN, a_database, a_snapshot, checks, seen, stored
from tests.support.reports import a_report

BASE = 1_500_000_000


def _drill(seconds_per_segment: float = 0.2, **changes: float) -> Measured:
    good: dict[str, float] = {
        "engine": 4,
        "kubernetes": 30,
        "base": 20,
        "verification": 3,
        **{key: value for key, value in changes.items() if key not in {"base_bytes", "segments"}},
    }
    segments = int(changes.get("segments", 100))
    return Measured(
        base_bytes=int(changes.get("base_bytes", 2 * GIB)),
        segments=segments,
        replay=seconds_per_segment * segments,
        **good,
    )


def test_the_default_figures_are_those_of_the_prototype() -> None:
    """1.5 GB of base backup in 10 s, and 137 segments at 0.50 s each."""
    parts = predict(Coefficients(), base_bytes=BASE, segments=137).parts
    assert parts["base backup"] == pytest.approx(10, abs=0.2)
    assert parts["WAL replay"] == pytest.approx(68.5)


def test_an_idle_day_of_wal_takes_more_than_two_minutes() -> None:
    """archive_timeout of five minutes makes 288 segments a day."""
    day = predict(Coefficients(), base_bytes=0, segments=288)
    assert (day.parts["WAL replay"], day.dominant) == (144, "WAL replay")


def test_what_is_learned_is_the_median_of_each_part() -> None:
    learned = learn([_drill(0.1), _drill(0.2, kubernetes=20), _drill(9, kubernetes=500)])
    assert (learned.per_segment, learned.kubernetes, learned.base_per_gib) == (0.2, 30, 10)
    assert learned.origin == "learned from 3 drills"
    assert learn([_drill()]).origin == "learned from 1 drill"


def test_a_drill_without_wal_or_size_teaches_nothing_of_those() -> None:
    learned = learn([_drill(segments=0, base_bytes=0)])
    assert (learned.per_segment, learned.base_per_gib) == (Coefficients().per_segment, Coefficients().base_per_gib)
    assert learn([]) == Coefficients()


def test_the_interval_that_keeps_a_goal_comes_back_to_the_goal() -> None:
    goal, learned = timedelta(minutes=30), learn([_drill(0.5)])
    interval = interval_within(goal, learned, base_bytes=BASE, segments_per_day=1000)
    assert interval is not None
    segments = round(1000 * (interval / timedelta(days=1)))
    assert predict(learned, base_bytes=BASE, segments=segments).seconds == pytest.approx(1800, abs=1)


def test_without_wal_any_interval_keeps_it_and_with_too_large_a_base_none() -> None:
    goal = timedelta(minutes=30)
    assert interval_within(goal, Coefficients(), base_bytes=0, segments_per_day=0) is None
    assert interval_within(goal, Coefficients(), base_bytes=1000 * GIB, segments_per_day=9) == timedelta(0)


def test_a_kept_report_is_read_by_its_phases() -> None:
    measured = measured_of(a_report())
    assert measured is not None
    assert (measured.base, measured.replay, measured.segments) == (10.0, 30.0, 60)
    assert (measured.engine, measured.kubernetes, measured.verification) == (1.0, 11.0, 2.0)
    assert measured.base_bytes == 1500 * 2**20


def test_a_report_that_tells_of_no_whole_recovery_is_left_out() -> None:
    for changes in ({"outcome": "failed"}, {"operation": "finalize"}, {"rto": None}, {"sizes": None}):
        assert measured_of(a_report(**changes)) is None


def test_a_size_that_barman_did_not_write_down_is_the_databases() -> None:
    sizes = a_report().sizes
    assert sizes is not None
    measured = measured_of(a_report(sizes=sizes.model_copy(update={"base_backup_bytes": None})))
    assert measured is not None
    assert measured.base_bytes == 2**31


def test_the_report_counts_engine_time_too() -> None:
    rto = a_report().rto
    assert rto is not None
    faster = rto.model_copy(update={"phases": {**rto.phases, Phase.ENGINE: 3.0}})
    measured = measured_of(a_report(started=NOW, rto=faster))
    assert measured is not None
    assert measured.engine == 4.0


def test_the_newest_reports_are_learned_from() -> None:
    """What an old one took is no more than history."""
    old, new = a_report(), a_report(started=NOW)
    slow = old.model_copy(update={"rto": old.rto and old.rto.model_copy(update={"phases": {Phase.WAL_REPLAY: 600.0}})})
    learned = coefficients_of([*[slow] * 30, *[new] * 20])
    assert (learned.drills, learned.per_segment) == (20, 0.5)
    assert coefficients_of([a_report(operation="finalize")]).drills == 0


def test_the_outlook_counts_what_a_recovery_would_replay() -> None:
    found = outlook(a_snapshot(), an_environment())
    assert found is not None
    # The newest base backup began in segment 576, the last is 699; one every ten minutes is 144 a day.
    assert found.segments == 124
    assert found.segments_per_day == pytest.approx(144, rel=0.01)
    assert found.interval == timedelta(days=1)
    assert found.worst.parts["WAL replay"] == pytest.approx(0.5 * 144, abs=1)
    assert found.as_json()["dominant"] == "WAL replay"


def test_a_base_backup_that_is_late_makes_it_worse() -> None:
    late = outlook(a_snapshot(seen_at=ARCHIVED.backups[-1].end + timedelta(days=3)), an_environment())
    assert late is not None
    assert late.interval == timedelta(days=3)
    assert late.worst.seconds > late.now.seconds


def test_a_size_that_nobody_wrote_down_is_asked_for() -> None:
    unsized = archive(*(replace(made, size=None) for made in ARCHIVED.backups), files=ARCHIVED.files)
    for changes, expected in (
        ({"database": a_database(size=5 * GIB)}, 5 * GIB),
        ({"database": UNSEEN, "objects": stored(3 * GIB)}, 3 * GIB),
        ({"database": UNSEEN, "objects": UNSEEN}, 0),
    ):
        found = outlook(a_snapshot(archive=seen(unsized), **changes), an_environment())
        assert found is not None
        assert found.base_bytes == expected


def test_the_goal_is_kept_or_it_is_said_what_helps() -> None:
    good = checks()["rto"]
    assert good.state is State.OK
    assert "WAL replay" in good.message
    assert "keeps 30 min" in good.message
    near = checks({"goals": {"rtoMinutes": 2.6}})["rto"]
    assert (near.state, near.remedy.startswith("take base backups more often: every")) == (State.WARNING, True)
    missed = checks({"goals": {"rtoMinutes": 2}})["rto"]
    assert missed.state is State.CRITICAL
    hopeless = checks({"goals": {"rtoMinutes": 0.5}})["rto"]
    assert "the base backup alone takes too long" in hopeless.remedy


def test_without_a_base_backup_there_is_no_time_to_tell() -> None:
    assert checks(archive=seen(None))["rto"].state is State.CRITICAL
    assert checks(archive=UNSEEN)["rto"].state is State.UNKNOWN
    assert outlook(a_snapshot(archive=seen(archive(files=wal(range(3))))), an_environment()) is None


def test_a_database_that_wrote_nothing_lately_keeps_any_goal() -> None:
    quiet = archive(backup(3), files=wal(range(1, 6)))
    found = checks(archive=seen(quiet), seen_at=at(60 * 24 * 30))["rto"]
    assert "any interval of base backups keeps" in found.message
