"""How long a bucket keeps what is in it."""

from typing import Any

import pytest

from dr.guard.rules import deleted_after, shortenings


def rule(age: int | None, kind: str = "Delete", **condition: object) -> dict[str, Any]:
    return {"action": {"type": kind}, "condition": {**({} if age is None else {"age": age}), **condition}}


def bucket(*rules: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"lifecycleRules": list(rules), **more}


@pytest.mark.parametrize(
    ("rules", "days"),
    [
        ([], float("inf")),
        ([rule(30)], 30),
        ([rule(30), rule(7)], 7),
        ([rule(7, "SetStorageClass"), rule(30)], 30),
        ([rule(1, withState="ARCHIVED"), rule(1, numNewerVersions=3), rule(30)], 30),
        ([rule(None, matchesPrefixes=["dev/"])], 0),
    ],
)
def test_after_how_many_days_a_current_object_goes(rules: list[dict[str, Any]], days: float) -> None:
    assert deleted_after(bucket(*rules)) == days


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (bucket(rule(30)), bucket(rule(7)), "30 days to 7 days"),
        (bucket(), bucket(rule(30)), "never to 30 days"),
        (
            bucket(retentionPolicy={"retentionPeriod": "864000"}),
            bucket(retentionPolicy={"retentionPeriod": "86400"}),
            "10 days to 1 days",
        ),
        (bucket(retentionPolicy={"retentionPeriod": "86400"}), bucket(), "1 days to none"),
        (
            bucket(softDeletePolicy={"retentionDurationSeconds": 604800}),
            bucket(softDeletePolicy={"retentionDurationSeconds": 0}),
            "7 days to none",
        ),
        (bucket(versioning={"enabled": True}), bucket(versioning={"enabled": False}), "on to off"),
        (bucket(versioning={"enabled": True}), bucket(), "on to off"),
    ],
)
def test_less_is_told_in_words(before: dict[str, Any], after: dict[str, Any], what: str) -> None:
    (found,) = shortenings(before, after)
    assert f"{found.before} to {found.after}" == what


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (bucket(rule(30)), bucket(rule(30))),
        (bucket(rule(30)), bucket(rule(60))),
        (bucket(rule(30)), bucket()),
        (bucket(softDeletePolicy={"retentionDurationSeconds": 604800}), bucket()),
        (bucket(), bucket(versioning={"enabled": True})),
    ],
)
def test_as_much_or_more_is_no_shortening(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert list(shortenings(before, after)) == []
