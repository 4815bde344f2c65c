"""Health of the bucket and of the way in: is it there, does it keep things long enough, who may use it until when.

Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dr.archive.bucket import DeleteRule
from dr.config.environment import Environment
from dr.config.health import HealthSettings
from dr.core.text import format_duration
from dr.health.check import Check, State, Unavailable, graded
from dr.health.snapshot import HealthSnapshot

_GONE = {"bucket-missing", "bucket-unreachable"}
_UNITS = {"d": 1, "w": 7, "m": 31}
"""Of ``retentionPolicy``, in days: CloudNativePG writes ``30d``, ``4w`` or ``1m``."""


def checks_of_bucket(snapshot: HealthSnapshot, environment: Environment) -> Iterator[Check]:
    """The checks ``bucket``, ``retention``, ``bucket-location``, ``credentials`` and ``identity``."""
    settings = environment.health
    yield _bucket(snapshot, environment)
    yield _retention(snapshot, environment)
    yield _location(snapshot, settings)
    yield _credentials(snapshot, settings)
    yield _identity(snapshot)


def _bucket(snapshot: HealthSnapshot, environment: Environment) -> Check:
    name, seen, serving = "bucket", snapshot.archive, snapshot.serving
    if isinstance(seen, Unavailable):
        state = State.CRITICAL if seen.code in _GONE else State.UNKNOWN
        return Check(name=name, state=state, message=seen.why, remedy=seen.remedy)
    place = environment.backup.url
    store = None if isinstance(serving, Unavailable) else serving.cluster.store
    if store is not None and store.url != place:
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"{store.server_name} archives to {store.url}, and the configuration names {place}",
            remedy="correct backup in Pulumi.<env>.yaml, or the Cluster's destinationPath",
        )
    if not seen.server_names:
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"there is nothing below {place}",
            remedy="is it the right bucket and path? If it is, the backups were deleted: take a base backup now",
        )
    return Check(
        name=name, state=State.OK, message=f"{place} answers; serverNames {', '.join(sorted(seen.server_names))}"
    )


def _retention(snapshot: HealthSnapshot, environment: Environment) -> Check:
    """Nothing may be deleted before its time, by CloudNativePG or by the bucket."""
    name, bucket, serving = "retention", snapshot.bucket, snapshot.serving
    if isinstance(bucket, Unavailable):
        return bucket.as_check(name)
    wanted = environment.health.retention_days
    prefix = environment.backup.prefix
    rules = [rule for rule in bucket.deletes if _applies(rule, prefix)]
    certain = [rule.age_days for rule in rules if rule.age_days is not None and not rule.condition]
    perhaps = [rule for rule in rules if rule.condition and (rule.age_days is None or rule.age_days < wanted)]
    age = min(certain, default=None)
    policy = "" if isinstance(serving, Unavailable) else serving.retention_policy
    told = f"the bucket deletes after {age} days" if age is not None else "the bucket deletes nothing by age alone"
    told += f", CloudNativePG after {policy}" if policy else ", CloudNativePG never"
    told += f"; nothing in it can be replaced for {format_duration(bucket.held_seconds)}" if bucket.held_seconds else ""
    values = {} if age is None else {"bucket_lifecycle_age_seconds": age * 86400}
    short = [days for days in (age, _days(policy)) if days is not None and days < wanted]
    if short:
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"{told}: {wanted} days must be kept",
            remedy="lengthen it: the bucket's lifecycle rule, or the retentionPolicy of the Cluster or ObjectStore; "
            "or correct health.retentionDays",
            values=values,
        )
    if perhaps:
        return Check(
            name=name,
            state=State.CRITICAL if any(rule.age_days is not None for rule in perhaps) else State.WARNING,
            message=f"{told}. A lifecycle rule may delete what must be kept for {wanted} days: "
            + "; ".join(map(_in_words, perhaps)),
            remedy="do base backups or WAL fulfil that? All that barman writes has the bucket's default storage class. "
            "Narrow the rule, or lengthen it",
            values=values,
        )
    if bucket.held_seconds:
        return Check(
            name=name,
            state=State.WARNING,
            message=f"{told}: barman writes the description of a base backup twice, and one that cannot be replaced "
            "stays STARTED, so that it counts as incomplete",
            remedy="shorten the bucket's retention policy below the time that a base backup takes, or take it off; "
            "soft delete and versions protect what is deleted without it",
            values=values,
        )
    if policy and _days(policy) is None:
        return Check(
            name=name,
            state=State.WARNING,
            message=f"{told}, which is not a known retention policy",
            remedy="write it as 30d, 4w or 1m",
            values=values,
        )
    return Check(name=name, state=State.OK, message=told, values=values)


def _in_words(rule: DeleteRule) -> str:
    age = "" if rule.age_days is None else f"after {rule.age_days} days, "
    return f"{age}where {rule.condition}"


def _applies(rule: DeleteRule, prefix: str) -> bool:
    """Whether it deletes anything below the backup path."""
    return not rule.prefixes or any(one.startswith(prefix) or prefix.startswith(one) for one in rule.prefixes)


def _days(policy: str) -> int | None:
    if policy[-1:] not in _UNITS or not policy[:-1].isdigit():
        return None
    return int(policy[:-1]) * _UNITS[policy[-1]]


def _location(snapshot: HealthSnapshot, settings: HealthSettings) -> Check:
    name, bucket, wanted = "bucket-location", snapshot.bucket, settings.bucket_location
    if isinstance(bucket, Unavailable):
        return bucket.as_check(name)
    if wanted is not None and bucket.location.upper() != wanted.upper():
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"the bucket is in {bucket.location}, and must be in {wanted}",
            remedy="a bucket cannot be moved: copy what is in it, or correct health.bucketLocation",
        )
    return Check(name=name, state=State.OK, message=bucket.location)


def _credentials(snapshot: HealthSnapshot, settings: HealthSettings) -> Check:
    """Certificates and tokens that end: CloudNativePG's own, which it renews itself, and those of this very check."""
    name, serving = "credentials", snapshot.serving
    if isinstance(serving, Unavailable):
        return serving.as_check(name)
    ends = {**serving.certificates, **snapshot.own_ends}
    if not ends:
        return Check(name=name, state=State.OK, message="none of which an end is known")
    first = min(ends, key=ends.__getitem__)
    left = (ends[first] - snapshot.seen_at).total_seconds()
    state = graded(left / 86400, settings.certificate_days)
    own = first in snapshot.own_ends
    secret = snapshot.commands.kubectl("describe", "secret", first, namespace=serving.cluster.namespace)
    helps = "log in again, or have it renewed" if own else f"is the operator running? {secret}"
    return Check(
        name=name,
        state=state,
        message=f"{first} ends {ends[first]:%Y-%m-%d}, {'in' if left >= 0 else 'which was'} "
        f"{abs(left) / 86400:.0f} days{'' if left >= 0 else ' ago'}",
        remedy="" if state is State.OK else helps,
        values={"credentials_left_seconds": left},
    )


def _without_google(definition: Mapping[str, Any]) -> str:
    s3, azure = definition.get("s3Credentials") or {}, definition.get("azureCredentials") or {}
    if s3.get("inheritFromIAMRole") or azure.get("inheritFromAzureAD") or azure.get("useDefaultAzureCredentials"):
        return "by a role that the pods have: whether it is let in shows where it archives"
    if s3 or azure or definition.get("googleCredentials"):
        return "by a key in a Secret: it ends only when somebody ends it"
    return "by no identity that is known here"


def _identity(snapshot: HealthSnapshot) -> Check:
    name, serving, seen = "identity", snapshot.serving, snapshot.identity
    if isinstance(serving, Unavailable):
        return serving.as_check(name)
    store = serving.cluster.store
    definition = store.definition if store else {}
    if not (definition.get("googleCredentials") or {}).get("gkeEnvironment"):
        return Check(name=name, state=State.OK, message=f"the bucket is reached {_without_google(definition)}")
    if isinstance(seen, Unavailable):
        return seen.as_check(name)
    if not seen.found:
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"there is no service account {seen.account}, by which the bucket is reached",
            remedy="CloudNativePG recreates it: does the operator run?",
        )
    if not seen.google and serving.cluster.archiving.working is False:
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"archiving fails, and the service account {seen.account} names no Google account",
            remedy="set iam.gke.io/gcp-service-account in the Cluster's serviceAccountTemplate, and bind "
            "roles/iam.workloadIdentityUser to it for this name",
        )
    return Check(name=name, state=State.OK, message=f"{seen.account} as {seen.google or 'itself'}")
