"""How long a bucket keeps what is in it, and whether a change makes that shorter.

``before`` and ``after`` are the inputs of a ``gcp.storage.Bucket``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_DAY = 86400
_FOR_EVER = float("inf")


@dataclass(frozen=True, kw_only=True)
class Shortening:
    """One way in which less is kept, for people."""

    what: str
    before: str
    after: str


def shortenings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Shortening]:
    """Every way in which ``after`` keeps less than ``before``."""
    old, new = deleted_after(before), deleted_after(after)
    if new < old:
        yield Shortening(what="the age at which objects are deleted", before=_days(old), after=_days(new))
    if (now := _seconds(after, "retentionPolicy", "retentionPeriod")) < (
        was := _seconds(before, "retentionPolicy", "retentionPeriod")
    ):
        yield Shortening(what="the retention policy", before=_of(was), after=_of(now))
    # Where it is not given, the server's own value is kept.
    if "softDeletePolicy" in after and (now := _seconds(after, "softDeletePolicy", "retentionDurationSeconds")) < (
        was := _seconds(before, "softDeletePolicy", "retentionDurationSeconds")
    ):
        yield Shortening(what="the time in which a deletion can be undone", before=_of(was), after=_of(now))
    if _versioned(before) and not _versioned(after):
        yield Shortening(what="the keeping of older versions", before="on", after="off")


def deleted_after(bucket: Mapping[str, Any]) -> float:
    """The days after which a lifecycle rule may delete a current object; without one, for ever.

    Rules for noncurrent versions only do not count. One without an age that deletes counts as at once.
    """
    ages = [_age(rule.get("condition") or {}) for rule in bucket.get("lifecycleRules") or () if _deletes(rule)]
    return min(ages, default=_FOR_EVER)


def _deletes(rule: Mapping[str, Any]) -> bool:
    return str((rule.get("action") or {}).get("type")) == "Delete"


def _age(condition: Mapping[str, Any]) -> float:
    archived = condition.get("withState") == "ARCHIVED"
    noncurrent = any(
        condition.get(key) for key in ("daysSinceNoncurrentTime", "numNewerVersions", "noncurrentTimeBefore")
    )
    if archived or noncurrent:
        return _FOR_EVER
    return float(condition.get("age") or 0)


def _seconds(bucket: Mapping[str, Any], section: str, key: str) -> float:
    return float((bucket.get(section) or {}).get(key) or 0)


def _versioned(bucket: Mapping[str, Any]) -> bool:
    return bool((bucket.get("versioning") or {}).get("enabled"))


def _days(days: float) -> str:
    return "never" if days == _FOR_EVER else f"{days:g} days"


def _of(seconds: float) -> str:
    return "none" if not seconds else f"{seconds / _DAY:g} days"
