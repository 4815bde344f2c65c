"""Health of what keeps the database: the operator and the Barman Cloud plugin, and how long they are supported.

Pure.

A minor version is supported until three months after the next one (its ``docs/src/supported_releases.md``); days that
upstream only estimates are the last of the month that it names. ``health.endOfLife`` adds to the table.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time

from semver import Version

from dr.config.health import HealthSettings
from dr.health.check import Check, State, Unavailable, graded
from dr.health.snapshot import HealthSnapshot

_MIGRATE = "{dr migrate-to-plugin --checkout FOLDER} writes the change of Git; it restarts the instances"


def checks_of_versions(snapshot: HealthSnapshot, settings: HealthSettings) -> Iterator[Check]:
    """The checks ``operator``, ``operator-version``, ``archive-method`` and ``plugin``."""
    seen = snapshot.operators
    if isinstance(seen, Unavailable):
        yield from (seen.as_check(name) for name in ("operator", "operator-version", "archive-method", "plugin"))
        return
    operator = seen.operator
    if operator is None or operator.ready == 0:
        what = f"{operator.name} has no pod that is ready" if operator else "its Deployment is not there"
        yield Check(
            name="operator",
            state=State.CRITICAL,
            message=f"CloudNativePG's operator in {settings.operator_namespace} does not run: {what}",
            remedy="bring it up: without it there is no failover, no base backup and no recovery; or correct "
            "health.operatorNamespace",
        )
    else:
        yield Check(name="operator", state=State.OK, message=f"{operator.name} runs")
    yield _version(operator.version if operator else "", snapshot.seen_at, settings)
    yield _method(snapshot, operator.version if operator else "", settings)
    yield _plugin(snapshot)


def _version(text: str, now: datetime, settings: HealthSettings) -> Check:
    name, version = "operator-version", parsed(text)
    if version is None:
        return Check(
            name=name,
            state=State.UNKNOWN,
            message=f"the operator's image does not name its version{f': {text}' if text else ''}",
            remedy="use an image with a version as its tag, or acknowledge it: health.acknowledged",
        )
    end = end_of(version, settings.end_of_life)
    if end is None:
        return Check(name=name, state=State.OK, message=f"{version}, newer than what this tool knows an end of")
    if end == date.min:
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"{version} is not supported any more",
            remedy="upgrade CloudNativePG, one minor version after the other, as its installation guide says",
        )
    left = _left(end, now)
    state = graded(left / 86400, settings.end_of_life_days)
    return Check(
        name=name,
        state=state,
        message=f"{version} is supported until {end}",
        remedy="upgrade CloudNativePG, as its installation guide says" if state is not State.OK else "",
        values={"operator_support_left_seconds": left},
    )


def _method(snapshot: HealthSnapshot, text: str, settings: HealthSettings) -> Check:
    """In-tree archiving leaves with CloudNativePG 1.31: it is safe for as long as 1.30 is supported."""
    name, serving, version = "archive-method", snapshot.serving, parsed(text)
    if isinstance(serving, Unavailable):
        return serving.as_check(name)
    cluster = serving.cluster
    if cluster.plugin is not None:
        return Check(name=name, state=State.OK, message="the Barman Cloud plugin")
    if cluster.store is None:
        return Check(name=name, state=State.OK, message=f"{cluster.other_archiver or 'none'}, see the check archiving")
    if version is not None and version >= WITHOUT_IN_TREE:
        return Check(
            name=name,
            state=State.WARNING if cluster.archiving.working else State.CRITICAL,
            message=f"in-tree barmanObjectStore, which CloudNativePG leaves out from {WITHOUT_IN_TREE} on; "
            f"this is {version}",
            remedy=snapshot.commands.fill(_MIGRATE),
        )
    end = _ends(settings.end_of_life)
    state = graded(_left(end, snapshot.seen_at) / 86400, settings.end_of_life_days)
    return Check(
        name=name,
        # That its end comes nearer breaks nothing yet: the operator's own check says when it is over.
        state=min(state, State.WARNING),
        message=f"in-tree barmanObjectStore, which CloudNativePG {WITHOUT_IN_TREE} leaves out; {LAST_IN_TREE} is "
        f"supported until {end}",
        remedy=snapshot.commands.fill(_MIGRATE) if state is not State.OK else "",
    )


def _ends(more: Mapping[str, date]) -> date:
    end = end_of(WITHOUT_IN_TREE.replace(minor=WITHOUT_IN_TREE.minor - 1), more)
    return end or date.max


def _left(end: date, now: datetime) -> float:
    """Seconds until the end of the day ``end``."""
    return (datetime.combine(end, time.max, tzinfo=UTC) - now).total_seconds()


def _plugin(snapshot: HealthSnapshot) -> Check:
    name, serving, seen = "plugin", snapshot.serving, snapshot.operators
    if isinstance(serving, Unavailable):
        return serving.as_check(name)
    if isinstance(seen, Unavailable):
        return seen.as_check(name)
    if serving.cluster.plugin is None:
        return Check(name=name, state=State.OK, message="not used")
    if seen.plugin_fault:
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"{serving.cluster.name} archives by it, and {seen.plugin_fault}",
            remedy="install it, or bring its Deployment up, next to CloudNativePG's operator",
        )
    if serving.cluster.store is None:
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"there is no ObjectStore {serving.cluster.plugin.object_store}, to which {serving.cluster.name} "
            "archives",
            remedy="create it as it was (Git?)",
        )
    text = seen.plugin.version if seen.plugin else ""
    version = parsed(text)
    if version is not None and version < SAFE_PLUGIN:
        return Check(
            name=name,
            state=State.WARNING,
            message=f"{version} may mix up WAL segments that are fetched in parallel",
            remedy=f"upgrade it to {SAFE_PLUGIN} or newer",
        )
    return Check(name=name, state=State.OK, message=f"{version or text or 'of unknown version'}, runs")


ENDS: Mapping[str, date] = {
    "1.29": date(2026, 9, 29),
    "1.30": date(2026, 12, 31),
    "1.31": date(2027, 3, 31),
    "1.32": date(2027, 6, 30),
    "1.33": date(2027, 9, 30),
}
OLDEST = Version(1, 29, 0)
"""What is older has ended."""

WITHOUT_IN_TREE = Version(1, 31, 0)
"""The operator that does not know ``barmanObjectStore`` any more (release notes of 1.30, "Important changes")."""
LAST_IN_TREE = "1.30"

SAFE_PLUGIN = Version(0, 12, 0)
"""Older ones may mix up WAL segments that are fetched in parallel (plugin-barman-cloud#516)."""


def end_of(version: Version, more: Mapping[str, date]) -> date | None:
    """The last day on which ``version`` of the operator is supported; None when it is newer than what is known."""
    minor = f"{version.major}.{version.minor}"
    known = {**ENDS, **more}.get(minor)
    if known is not None:
        return known
    return date.min if version < OLDEST else None


def parsed(text: str) -> Version | None:
    """The version in an image's tag, such as ``1.30.0`` or ``v0.14.0``; None when it is none."""
    text = text.removeprefix("v")
    return Version.parse(text) if Version.is_valid(text) else None
