"""What a bucket says of itself. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DeleteRule:
    """A lifecycle rule of the bucket that deletes objects ``age_days`` old, below ``prefixes`` (everywhere without).

    ``condition`` is what it asks for besides, in the store's own words; ``age_days`` is None where it is not by age.
    """

    age_days: int | None
    prefixes: tuple[str, ...] = ()
    condition: str = ""


@dataclass(frozen=True, kw_only=True)
class BucketFacts:
    """A bucket's own settings. ``held_seconds`` is for how long nothing in it can be replaced or deleted (a retention
    policy of Cloud Storage; S3's Object Lock lets a new version replace what it holds), 0 where nothing is held so.
    """

    location: str
    deletes: tuple[DeleteRule, ...]
    held_seconds: int = 0
