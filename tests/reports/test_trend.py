"""What past drills say: a line, where it meets the goal, and a warning before it is missed."""

from datetime import datetime, timedelta

import pytest

from dr.reports.charts import trend_chart
from dr.reports.document import ReportDocument
from dr.reports.page import page
from dr.reports.trend import trend_of
from tests.support.builders import NOW
from tests.support.reports import a_report

GIB = 2**30


def drill(gib: float, seconds: float, *, days_ago: float = 0, **changes: object) -> ReportDocument:
    """One that recovered so much, of which WAL is nothing."""
    made = a_report(NOW - timedelta(days=days_ago))
    assert made.sizes is not None
    assert made.rto is not None
    sizes = made.sizes.model_copy(update={"base_backup_bytes": int(gib * GIB), "wal_segments": 0})
    return made.model_copy(update={"sizes": sizes, "rto": made.rto.model_copy(update={"seconds": seconds}), **changes})


def weekly(*drills: tuple[float, float]) -> list[ReportDocument]:
    """One a week, the last a week ago."""
    return [drill(gib, seconds, days_ago=7 * (len(drills) - n)) for n, (gib, seconds) in enumerate(drills)]


def test_the_line_gives_what_is_fixed_and_what_each_byte_costs() -> None:
    trend = trend_of(weekly((1, 60), (2, 100), (3, 140)), goal=1800)
    assert trend.fixed == pytest.approx(20)
    assert trend.per_byte is not None
    assert trend.per_byte * GIB == pytest.approx(40)
    assert trend.limit is not None
    assert trend.limit / GIB == pytest.approx(44.5)


def test_the_goal_is_missed_where_the_growth_meets_it() -> None:
    # GIVEN one GiB more each week, of which 44.5 take 30 minutes
    trend = trend_of(weekly((1, 60), (2, 100), (3, 140)), goal=1800)
    assert trend.missed is not None
    assert (trend.missed - NOW).days == pytest.approx((44.5 - 4) * 7, abs=1)
    # THEN that is too far away for a warning
    assert list(trend.warnings(NOW)) == []


def test_before_the_goal_is_missed_there_is_a_warning() -> None:
    trend = trend_of(weekly((10, 420), (20, 820), (30, 1220)), goal=1800)
    (warning,) = trend.warnings(NOW)
    assert "will be missed about 2026-04-30" in warning
    assert "44.5 GiB" in warning


@pytest.mark.parametrize(("seconds", "said"), [(1900, "misses the goal"), (1500, "is near the goal")])
def test_an_rto_at_the_goal_is_told_without_any_line(seconds: float, said: str) -> None:
    (warning,) = trend_of([drill(1, seconds)], goal=1800).warnings(NOW)
    assert said in warning


@pytest.mark.parametrize(
    "drills",
    [[], [(1, 60)], [(1, 60), (2, 100)], [(1, 60), (1, 61), (1.01, 62)], [(1, 140), (2, 100), (3, 60)]],
    ids=["none", "one", "two", "all alike", "faster with more"],
)
def test_too_little_is_not_extrapolated(drills: list[tuple[float, float]]) -> None:
    trend = trend_of(weekly(*drills), goal=1800)
    assert (trend.per_byte, trend.missed) == (None, None)
    assert "extrapolate" in trend.sentence or "no drill" in trend.sentence


def test_a_line_that_would_begin_below_nothing_begins_at_nothing() -> None:
    trend = trend_of(weekly((10, 60), (20, 320), (30, 640)), goal=1800)
    assert trend.fixed == 0
    assert trend.per_byte is not None
    assert trend.per_byte > 0


def test_only_drills_that_passed_count() -> None:
    others = [drill(9, 9, outcome="failed"), drill(9, 9, operation="pitr"), drill(9, 9, rto=None)]
    assert trend_of([*others, drill(1, 60)], goal=1800).points == trend_of([drill(1, 60)], goal=1800).points


def test_data_that_does_not_grow_never_misses_the_goal() -> None:
    trend = trend_of(weekly((3, 140), (2, 100), (1, 60)), goal=1800)
    assert trend.per_byte is not None
    assert (trend.daily, trend.missed) == (None, None)


@pytest.mark.parametrize("now", [NOW, datetime(2030, 1, 1, tzinfo=NOW.tzinfo)])
def test_the_chart_has_a_dot_for_each_drill(now: datetime) -> None:
    chart = trend_chart(trend_of(weekly((1, 60), (2, 100), (3, 140)), goal=1800))
    assert chart is not None
    assert len(chart.dots) == 3
    assert chart.line is not None
    assert trend_chart(trend_of([], goal=1800)) is None


def test_the_page_shows_the_chart_and_what_it_says() -> None:
    shown = page(a_report(), trend_of(weekly((10, 420), (20, 820), (30, 1220)), goal=1800))
    assert shown.count('<circle class="point"') == 3
    assert shown.count('class="line"') == 1
    for said in ("goal 30 min", "20 s, and 40 s for each GiB", '<p class="warning">as the data grows'):
        assert said in shown
    assert "RTO against" not in page(a_report(), trend_of([], goal=1800))
