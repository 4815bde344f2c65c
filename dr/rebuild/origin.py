"""Where the data of a Cluster comes from that Argo CD has just brought up: from the backups, or from nowhere.

A Cluster whose manifest says ``initdb`` comes up healthy and empty, under the name of the one that was lost. Everything
about it looks right, an application's own check perhaps too. PostgreSQL gives each database a system identifier when it
is made (``initdb``), and a restored one keeps it: that settles it. The rest is evidence for people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dr.archive.contents import Archive
from dr.cnpg.cluster import ClusterSnapshot


class Origin(StrEnum):
    """Where its data comes from."""

    RESTORED = "restored"
    FRESH = "bootstrapped fresh"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class DatabaseSeen:
    """What a database says of itself. ``answers`` are those to the verification's questions, by their names."""

    system_id: str
    timeline: int
    answers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Where a Cluster's data comes from, and by what that is known."""

    origin: Origin
    evidence: tuple[str, ...]


def judge_origin(
    cluster: ClusterSnapshot, seen: DatabaseSeen | None, archive: Archive, *, known: Mapping[str, str]
) -> Judgement:
    """The origin of ``cluster``, whose database says ``seen``, None where it does not answer.

    ``archive`` has the backups of what was lost, ``known`` the last answers to the verification's questions.
    """
    evidence = [f"its manifest bootstraps by {_bootstrap(cluster)}"]
    if seen is None:
        return Judgement(origin=Origin.UNKNOWN, evidence=("its database does not answer", *evidence))
    of_backups = {backup.system_id for backup in archive.backups if backup.system_id}
    same = seen.system_id in of_backups
    told = (
        f"its system identifier is {seen.system_id}, that of the backups {', '.join(sorted(of_backups)) or 'unknown'}"
    )
    newest = max((backup.timeline for backup in archive.backups), default=0)
    evidence = [told, *evidence, f"it is on timeline {seen.timeline}, the newest base backup on {newest}"]
    for name, answer in seen.answers.items():
        last = f", last known {known[name]}" if name in known else ""
        evidence.append(f"{name} {answer}{last}")
    if not of_backups:
        return Judgement(origin=Origin.UNKNOWN, evidence=tuple(evidence))
    return Judgement(origin=Origin.RESTORED if same else Origin.FRESH, evidence=tuple(evidence))


def _bootstrap(cluster: ClusterSnapshot) -> str:
    return str(next(iter(cluster.spec.get("bootstrap") or {"initdb": {}})))
