"""Lengths of time, amounts and moments, as people read them."""

from datetime import UTC, datetime

import pytest

from dr.core.text import (
    about_seconds_of,
    bytes_of,
    exact_moment_of,
    mebibytes_of,
    moment_of,
    rfc3339_of,
    seconds_of,
    whole_seconds_of,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.9, "9.9 s"),
        (51.4, "51 s"),
        (60, "1 min"),
        (725, "12 min 5 s"),
        (3599.7, "1 h"),
        (4859, "1 h 21 min"),
        (176_400, "2 d 1 h"),
    ],
)
def test_how_long_something_took(seconds: float, text: str) -> None:
    assert seconds_of(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (9.9, "9 s"), (900, "15 min"), (4859, "1 h 20 min"), (3605, "1 h"), (90_300, "1 d 1 h")],
)
def test_whole_seconds_are_cut_off_in_the_two_largest_units(seconds: float, text: str) -> None:
    assert whole_seconds_of(seconds) == text


def test_an_estimate_has_one_unit() -> None:
    assert [about_seconds_of(seconds) for seconds in (95, 119.4, 725)] == ["95 s", "119 s", "12 min"]


def test_amounts_of_data() -> None:
    assert [bytes_of(count) for count in (7, 1536, 1.5 * 2**30)] == ["7 bytes", "1.5 KiB", "1.5 GiB"]
    assert mebibytes_of(1.5 * 2**30) == "1,536 MiB"


def test_moments() -> None:
    time = datetime(2026, 4, 27, 9, 55, 0, 500000, tzinfo=UTC)
    assert moment_of(time) == "2026-04-27 09:55:00 UTC"
    assert exact_moment_of(time) == "2026-04-27 09:55:00.500000 UTC"
    assert exact_moment_of(time.replace(microsecond=0)) == "2026-04-27 09:55:00 UTC"
    assert rfc3339_of(time) == "2026-04-27T09:55:00.500000+00:00"
    assert rfc3339_of(time.replace(microsecond=0)) == "2026-04-27T09:55:00+00:00"
