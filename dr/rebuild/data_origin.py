"""Where the data of a Cluster comes from that Argo CD has just brought up: from the backups, or from nowhere.

A Cluster whose manifest says ``initdb`` comes up healthy and empty, under the name of the one that was lost. Everything
about it looks right, an application's own check perhaps too. PostgreSQL gives each database a system identifier when it
is made (``initdb``), and a restored one keeps it. But so does every copy of it, however old: one that was recovered to
an earlier time, or from an older archive, is known by its timelines and its position in the WAL. The rest is evidence
for people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dr.archive.contents import Archive, Switch
from dr.archive.promise import Promise, promise_of
from dr.archive.usable_archives import usable_archives
from dr.cnpg.cluster import ClusterSnapshot
from dr.core.wal_names import lsn


class Origin(StrEnum):
    """Where its data comes from."""

    RESTORED = "restored"
    STALE = "restored to an older state than the archive's"
    FRESH = "bootstrapped fresh"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class DatabaseSeen:
    """What a database says of itself. ``lsn`` is where it is, in bytes, on ``timeline``; ``history`` are the timelines
    that it left before, oldest first. ``answers`` are those to the verification's questions, by their names.
    """

    system_id: str
    timeline: int
    lsn: int
    history: tuple[Switch, ...]
    answers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class OriginVerdict:
    """Where a Cluster's data comes from, and by what that is known."""

    origin: Origin
    evidence: tuple[str, ...]


def judge_origin(
    cluster: ClusterSnapshot, seen: DatabaseSeen | None, archive: Archive, *, known: Mapping[str, str]
) -> OriginVerdict:
    """The origin of ``cluster``, whose database says ``seen``, None where it does not answer.

    ``archive`` has the backups of what was lost, ``known`` the last answers to the verification's questions.
    """
    evidence = [f"its manifest bootstraps by {_bootstrap(cluster)}"]
    if seen is None:
        return OriginVerdict(origin=Origin.UNKNOWN, evidence=("its database does not answer", *evidence))
    of_backups = {backup.system_id for backup in archive.backups if backup.system_id}
    told = (
        f"its system identifier is {seen.system_id}, that of the backups {', '.join(sorted(of_backups)) or 'unknown'}"
    )
    newest = max((backup.timeline for backup in archive.backups), default=0)
    evidence = [told, *evidence, f"it is on timeline {seen.timeline}, the newest base backup on {newest}"]
    for name, answer in seen.answers.items():
        last = f", last known {known[name]}" if name in known else ""
        evidence.append(f"{name} {answer}{last}")
    if not of_backups:
        return OriginVerdict(origin=Origin.UNKNOWN, evidence=tuple(evidence))
    if seen.system_id not in of_backups:
        return OriginVerdict(origin=Origin.FRESH, evidence=tuple(evidence))
    origin, why = _state(seen, archive)
    return OriginVerdict(origin=origin, evidence=(why, *evidence))


def _state(seen: DatabaseSeen, archive: Archive) -> tuple[Origin, str]:
    """Whether a database with the right system identifier has all that ``archive`` has, and by what that is known."""
    survivor = next(iter(usable_archives((archive,))), None)
    end = promise_of(archive, survivor.window.backups[-1], None) if survivor else None
    if end is None:
        return Origin.UNKNOWN, "its system identifier is that of the backups, and how far the archive goes is not known"
    if seen.timeline == end.timeline:
        before, reached = seen.history, seen.lsn
    elif left := end.ends_in(seen.history):
        before, reached = seen.history[: -len(left)], left[0].lsn
    elif seen.timeline > 1 and not seen.history:
        return Origin.UNKNOWN, f"it is on timeline {seen.timeline} without a history file; the archive goes to {end}"
    else:
        return (
            Origin.STALE,
            f"it is on timeline {seen.timeline} and never was on {end.timeline}; the archive goes to {end}",
        )
    if other := _parting(before, archive.histories.get(end.timeline, ())):
        return Origin.STALE, f"its timeline {end.timeline} is not the archive's: {other}"
    return _by_position(reached, end)


def _by_position(reached: int, end: Promise) -> tuple[Origin, str]:
    told = f"it has timeline {end.timeline} up to LSN {lsn(reached)}"
    if reached < end.lsn:
        return Origin.STALE, f"{told}; the archive goes to {end}"
    return Origin.RESTORED, f"its system identifier is that of the backups, and {told}, as the archive does"


def _parting(mine: tuple[Switch, ...], archived: tuple[Switch, ...]) -> str:
    """Where two histories of a timeline differ, in words; empty where they do not, or where one is not known."""
    if not mine or not archived:
        return ""
    pairs = [tuple((switch.parent, switch.lsn) for switch in history) for history in (mine, archived)]
    if pairs[0] == pairs[1]:
        return ""
    its, the_archives = (", ".join(f"{parent} at {lsn(at)}" for parent, at in pair) for pair in pairs)
    return f"it left {its}; the archive's left {the_archives}"


def _bootstrap(cluster: ClusterSnapshot) -> str:
    return str(next(iter(cluster.spec.get("bootstrap") or {"initdb": {}})))
