"""The recovery target: what is read as which moment, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from dr.model.errors import RequestError
from dr.model.target import RecoveryTarget

NOW = datetime(2026, 4, 27, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-04-27T09:55:00Z",
        "2026-04-27T09:55:00z",
        "2026-04-27 09:55:00Z",
        "2026-04-27 09:55:00 Z",
        "2026-04-27T09:55:00+00:00",
        "2026-04-27T18:55:00+09:00",
        "2026-04-27T18:55:00+0900",
        "2026-04-27 18:55:00 +09:00",
        "2026-04-27T05:25:00-0430",
        "2026-04-27 18:55:00+09",  # as PostgreSQL writes it in its log
        "2026-04-27T09:55Z",
        "  2026-04-27T09:55:00Z\n",
    ],
)
def test_forms_with_a_zone_are_the_same_moment(text: str) -> None:
    target = RecoveryTarget.parse(text, now=NOW)
    assert target.time == datetime(2026, 4, 27, 9, 55, tzinfo=UTC)
    assert target.time.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-04-27T09:55:00", "target-time-without-zone"),
        ("2026-04-27 09:55:00", "target-time-without-zone"),
        ("2026-04-27", "target-time-without-zone"),
        ("2026-04-27T12:00:01Z", "target-time-in-the-future"),
        ("2026-04-27T11:55:00-09:00", "target-time-in-the-future"),
        ("yesterday", "target-time-malformed"),
        ("", "target-time-malformed"),
        ("2026-02-30T09:55:00Z", "target-time-malformed"),
        ("2026-04-27T25:00:00Z", "target-time-malformed"),
        ("2026-04-27T09:55:00+25:00", "target-time-malformed"),
        ("2026-04-27T09:55:00 Europe/Oslo", "target-time-malformed"),
        ("1777283700", "target-time-malformed"),
        ("0001-01-01T00:00:00+09:00", "target-time-malformed"),
        ("9999-12-31T23:59:59-09:00", "target-time-malformed"),
    ],
)
def test_other_forms_are_refused_naming_what_was_given(text: str, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        RecoveryTarget.parse(text, now=NOW)
    assert refused.value.code == code
    assert repr(text) in refused.value.cause
    assert refused.value.remedy


def test_now_itself_is_no_future() -> None:
    assert RecoveryTarget.parse("2026-04-27T12:00:00Z", now=NOW).time == NOW


def test_a_future_target_is_told_with_both_times() -> None:
    with pytest.raises(RequestError) as refused:
        RecoveryTarget.parse("2026-04-27T20:00:00+02:00", now=NOW)
    assert "2026-04-27 18:00:00 UTC" in refused.value.cause
    assert "2026-04-27 12:00:00 UTC" in refused.value.cause


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("2026-04-27T18:55:00+09:00", "2026-04-27T09:55:00+00:00"),
        ("2026-04-27T09:55:00.25Z", "2026-04-27T09:55:00.250000+00:00"),
        ("2026-04-27T09:55:00.123456Z", "2026-04-27T09:55:00.123456+00:00"),
    ],
)
def test_what_is_sent_always_has_an_offset_and_loses_no_digit(text: str, sent: str) -> None:
    assert RecoveryTarget.parse(text, now=NOW).rfc3339 == sent


def test_what_is_sent_is_read_back_as_the_same_target() -> None:
    target = RecoveryTarget(datetime(2026, 4, 27, 9, 55, 0, 1, tzinfo=UTC))
    assert RecoveryTarget.parse(target.rfc3339, now=NOW) == target


def test_people_read_it_in_utc() -> None:
    assert str(RecoveryTarget.parse("2026-04-27T18:55:00+09:00", now=NOW)) == "2026-04-27 09:55:00 UTC"
