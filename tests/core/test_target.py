"""The recovery target: what is read as which moment, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from dr.core.errors import RequestError
from dr.core.target import (
    LATEST,
    ImmediateTarget,
    LsnTarget,
    NameTarget,
    RecoveryTarget,
    TimeTarget,
    XidTarget,
    written,
    written_fields,
    written_time,
)

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
        "2026-04-27 09:55:00 UTC",  # as this tool writes it
        "2026-04-27 09:55:00 utc",
        "2026-04-27T09:55:00UTC",
        "2026-04-27 09:55 GMT",
        "2026-04-27 11:55:00 Europe/Oslo",
        "2026-04-27T18:55:00 Asia/Seoul",
        "2026-04-27 05:55:00.000 America/Port-au-Prince",
    ],
)
def test_forms_with_a_zone_are_the_same_moment(text: str) -> None:
    target = TimeTarget.parse(text, now=NOW)
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
        ("2026-04-27 UTC", "target-time-malformed"),
        ("2026-04-27T09:55:00 Europe/Nowhere", "target-time-malformed"),
        ("2026-04-27T09:55:00 Europe/", "target-time-malformed"),
        ("2026-04-27T09:55:00 ../../etc/passwd", "target-time-malformed"),
        ("2026-04-27T09:55:00 EST", "target-time-malformed"),
        ("2026-04-27T09:55:00 IST", "target-time-malformed"),
        ("2026-04-27T09:55:00 Etc/GMT+9", "target-time-malformed"),
        ("2026-04-27T09:55:00+09:00 UTC", "target-time-malformed"),
        ("2026-03-29T02:30:00 Europe/Oslo", "target-time-ambiguous"),
        ("2025-10-26T02:30:00 Europe/Oslo", "target-time-ambiguous"),
        ("1777283700", "target-time-malformed"),
        ("0001-01-01T00:00:00+09:00", "target-time-malformed"),
        ("9999-12-31T23:59:59-09:00", "target-time-malformed"),
    ],
)
def test_other_forms_are_refused_naming_what_was_given(text: str, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        TimeTarget.parse(text, now=NOW)
    assert refused.value.code == code
    assert repr(text) in refused.value.cause
    assert refused.value.remedy


def test_now_itself_is_no_future() -> None:
    assert TimeTarget.parse("2026-04-27T12:00:00Z", now=NOW).time == NOW


def test_a_future_target_is_told_with_both_times() -> None:
    with pytest.raises(RequestError) as refused:
        TimeTarget.parse("2026-04-27T20:00:00+02:00", now=NOW)
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
    assert TimeTarget.parse(text, now=NOW).value == sent


def test_what_is_sent_is_read_back_as_the_same_target() -> None:
    target = TimeTarget(datetime(2026, 4, 27, 9, 55, 0, 1, tzinfo=UTC))
    assert TimeTarget.parse(target.value, now=NOW) == target


def test_people_read_it_in_utc() -> None:
    assert str(TimeTarget.parse("2026-04-27T18:55:00+09:00", now=NOW)) == "2026-04-27 09:55:00 UTC"


def test_a_time_that_was_shown_twice_is_told_with_both_moments() -> None:
    # GIVEN the hour that came twice when Oslo went back to winter time
    with pytest.raises(RequestError) as refused:
        TimeTarget.parse("2025-10-26 02:30:00 Europe/Oslo", now=NOW)
    # THEN
    assert "2025-10-26T00:30:00Z or 2025-10-26T01:30:00Z" in refused.value.remedy


ALL: list[tuple[RecoveryTarget, dict[str, object], str, str]] = [
    (TimeTarget(NOW), {"targetTime": "2026-04-27T12:00:00+00:00"}, "2026-04-27 12:00:00 UTC", "inclusive"),
    (LsnTarget(0x1_03000028), {"targetLSN": "1/3000028"}, "LSN 1/3000028", "inclusive"),
    (LsnTarget(1, timeline=2), {"targetLSN": "0/1", "targetTLI": "2"}, "LSN 0/1", "inclusive, timeline 2"),
    (
        XidTarget(742, backup_id="b", exclusive=True),
        {"targetXID": "742", "backupID": "b", "exclusive": True},
        "transaction 742",
        "exclusive",
    ),
    (
        NameTarget("before the migration", backup_id="b"),
        {"targetName": "before the migration", "backupID": "b"},
        "restore point 'before the migration'",
        "",
    ),
    (
        ImmediateTarget(backup_id="b", timeline=3),
        {"targetImmediate": True, "backupID": "b", "targetTLI": "3"},
        "the end of base backup b",
        "timeline 3",
    ),
]


@pytest.mark.parametrize(("target", "manifest", "told", "how"), ALL, ids=lambda v: v if isinstance(v, str) else "")
def test_every_target_has_its_fields_and_its_words(
    target: RecoveryTarget, manifest: dict[str, object], told: str, how: str
) -> None:
    assert target.manifest == manifest
    assert (str(target), target.how) == (told, how)


def test_what_is_written_down_tells_every_target_apart() -> None:
    others = [TimeTarget(NOW, exclusive=True), TimeTarget(NOW, timeline=2), TimeTarget(NOW, backup_id="b"), None]
    told = [written(target) for target in [*(target for target, *_ in ALL), *others]]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (None, LATEST),
        (TimeTarget(NOW), "2026-04-27T12:00:00+00:00"),
        (TimeTarget(NOW, timeline=2, exclusive=True), "2026-04-27T12:00:00+00:00, targetTLI=2, exclusive=true"),
        (LsnTarget(0x3000028), "targetLSN=0/3000028"),
        (ImmediateTarget(backup_id="b"), "targetImmediate=true, backupID=b"),
    ],
)
def test_a_target_is_written_down(target: RecoveryTarget | None, text: str) -> None:
    assert written(target) == text


def test_the_time_of_what_is_written_down_is_read_back_where_there_is_one() -> None:
    assert written_time(written(TimeTarget(NOW, exclusive=True))) == NOW
    assert written_time(written(TimeTarget(NOW))) == NOW
    for target in (None, LsnTarget(1), NameTarget("2026-04-27T12:00:00+00:00", backup_id="b")):
        assert written_time(written(target)) is None
    assert written_time(None) is None


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ({}, ""),
        ({"backupID": "b"}, ""),
        ({"targetTime": "2026-04-27T12:00:00+00:00", "backupID": "b"}, "2026-04-27T12:00:00+00:00"),
        ({"targetLSN": "0/3000028", "backupID": "b", "exclusive": True}, "targetLSN=0/3000028, exclusive=true"),
    ],
)
def test_where_a_manifest_stops_is_written_so_too(manifest: dict[str, object], text: str) -> None:
    assert written_fields(manifest) == text
