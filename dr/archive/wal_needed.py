"""What stands against one recovery in the archived WAL that it needs, and what is not known of that. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from dr.archive.contents import Archive, BaseBackup
from dr.archive.databases import several
from dr.archive.wal_validity import needed
from dr.archive.window import problems_of_base_wal, problems_of_holes, warnings_of_holes
from dr.core.commands import ANY_RUN, CommandLines
from dr.core.errors import Problem
from dr.core.target import RecoveryTarget

REFUSALS = {"archive-encrypted", "bucket-forbidden", "google-credentials", "store-credentials"}
"""The codes of a question that will fail again when it is asked again."""


def problems_of_wal(
    archive: Archive,
    base: BaseBackup,
    target: RecoveryTarget | None,
    *,
    seen_at: datetime,
    coming: bool,
    insists: bool = False,
    commands: CommandLines = ANY_RUN,
) -> Iterator[Problem]:
    """That ``target`` cannot be reached from ``base``, or that WAL on the way may not be read. ``coming`` says that the
    source still archives what it has written; ``insists`` accepts that the recovery may end too early; ``commands`` are
    the environment's.
    """
    told = several(archive)
    found = list(problems_of_holes(archive, base, target, seen_at=seen_at, insists=insists, commands=commands))
    of_base = problems_of_base_wal(archive, base, target, seen_at=seen_at, coming=coming, commands=commands)
    for one in found or of_base:
        yield replace(one, cause=f"{one.cause} ({told})") if told else one
    refused = {
        name: problem
        for name in needed(archive, base, target)
        if (problem := archive.unasked.get(name)) and problem.code in REFUSALS
    }
    if refused and not insists:
        name, problem = next(iter(refused.items()))
        yield Problem(
            code=problem.code,
            cause=f"WAL that the recovery needs may not be read ({_counted(len(refused))}, such as {name}): "
            f"{problem.cause}",
            remedy=problem.remedy,
        )


def warnings_of_wal(
    archive: Archive, base: BaseBackup, target: RecoveryTarget | None, *, seen_at: datetime, live: str
) -> Iterator[str]:
    """What does not stop the recovery for certain, or nothing else reports; and what was not looked into. ``live``
    is the system identifier of the database that the source runs today, empty where that is not known.
    """
    if told := several(archive):
        yield f"{told}. This recovery is of {base.system_id or 'the newest'}."
    if live and base.system_id and live != base.system_id:
        yield (
            f"The source runs another database today, by its system identifier, {live}: base backup {base.backup_id} "
            f"is of {base.system_id}, and nothing that was written since the source was created again is in it."
        )
    yield from warnings_of_holes(archive, base, target, seen_at=seen_at)
    names = needed(archive, base, target)
    if unread := [name for name in names if name not in archive.read]:
        why = next((problem.cause for name in unread if (problem := archive.unasked.get(name))), "there was no time")
        yield (
            f"Of {_counted(len(names))} that will be replayed, {len(unread):,} were not looked into ({why}): whether "
            "they can be read is not known."
        )


def _counted(count: int) -> str:
    return f"{count:,} WAL segment" + ("" if count == 1 else "s")
