"""Whether a platform can be rebuilt in another region: what the bucket's location allows, and what it costs. Pure.

Cloud Storage keeps an object in a region, in two (a dual-region), or across a continent (a multi-region). Replication
between regions is not at once: by default almost all within an hour, all within twelve; with turbo replication within
15 minutes (Cloud Storage docs, "Data availability and durability").
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from dr.core.errors import Problem

_CONTINENTS = {"US": ("us-", "northamerica-"), "EU": ("europe-",), "ASIA": ("asia-",)}
_PAIRS = {
    "ASIA1": ("asia-northeast1", "asia-northeast2"),
    "EUR4": ("europe-north1", "europe-west4"),
    "EUR5": ("europe-west1", "europe-west2"),
    "EUR7": ("europe-west2", "europe-west3"),
    "EUR8": ("europe-west3", "europe-west6"),
    "NAM4": ("us-central1", "us-east1"),
}
"""Cloud Storage's predefined dual-regions ("Bucket locations")."""


@dataclass(frozen=True, kw_only=True)
class BucketLocation:
    """Where a bucket is. ``kind`` is ``region``, ``dual-region`` or ``multi-region``; ``regions`` are those that it is
    known to be in, none for a multi-region; ``turbo`` says that replication has a limit of 15 minutes.
    """

    bucket: str
    location: str
    kind: str
    regions: tuple[str, ...] = field(default=())
    turbo: bool = False

    @classmethod
    def from_object(cls, raw: dict[str, object]) -> "BucketLocation":
        """Read the bucket as the Cloud Storage API tells it."""
        location, kind = str(raw.get("location") or "").upper(), str(raw.get("locationType") or "region")
        placed = raw.get("customPlacementConfig")
        given = placed.get("dataLocations") if isinstance(placed, dict) else None
        regions = tuple(str(one).lower() for one in given or _PAIRS.get(location) or ())
        return cls(
            bucket=str(raw.get("name")),
            location=location,
            kind=kind,
            regions=regions or ((location.lower(),) if kind == "region" else ()),
            turbo=raw.get("rpo") == "ASYNC_TURBO",
        )


def region_problems(bucket: BucketLocation, *, lost: str, wanted: str) -> Iterator[Problem]:
    """What forbids to rebuild in ``wanted`` what is lost in ``lost``."""
    if wanted == lost:
        yield Problem(
            code="region-is-the-same",
            cause=f"{wanted} is the region that the platform is in already",
            remedy="leave --region out, or name another one",
        )
    elif bucket.regions == (lost,):
        yield Problem(
            code="bucket-in-lost-region",
            cause=f"the bucket {bucket.bucket} is in {lost} alone: while that is out, so are the backups",
            remedy="wait for the region; or name with --durable the stack of a bucket that holds a copy. "
            "For the next time: a dual-region or multi-region bucket (docs/rebuild.md)",
        )


def region_warnings(bucket: BucketLocation, *, lost: str, wanted: str, state: str) -> Iterator[str]:
    """What to know before agreeing. ``state`` is the URL of Pulumi's state."""
    where = f"The bucket {bucket.bucket} is in {bucket.location}"
    if bucket.kind != "region" and (lost in bucket.regions or _within(bucket, lost)):
        limit = "15 minutes" if bucket.turbo else "an hour, at worst 12"
        yield f"{where}: what was archived in the last {limit} before the outage may not have been replicated."
    if wanted not in bucket.regions and not _within(bucket, wanted):
        yield f"{where}, not in {wanted}: every byte of the recovery crosses regions, which takes longer and costs."
    if state.startswith("gs://"):
        yield f"Pulumi's state is in {state}: it must be in another region than {lost}."
    yield f"When {lost} comes back, its platform is still there, and its writers run: keep them from it, or delete it."


def _within(bucket: BucketLocation, region: str) -> bool:
    return bucket.kind == "multi-region" and region.startswith(_CONTINENTS.get(bucket.location, ("?",)))
