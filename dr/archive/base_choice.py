"""Whether there is a base backup for a target; why not, where there is none."""

from collections.abc import Iterator

from dr.archive.catalogue import BaseBackup, Catalogue
from dr.archive.contents import Archive
from dr.core.errors import Problem
from dr.core.target import RecoveryTarget
from dr.core.wal_names import lsn


def problems_of_base(catalogue: Catalogue, target: RecoveryTarget, archive: Archive | None = None) -> Iterator[Problem]:
    """What is wrong with ``target``, given the backups of ``catalogue``, of which there is at least one. ``archive`` is
    all that the bucket has beside them, None where it was not read.
    """
    base = catalogue.base_for(target)
    if archive is not None and target.timeline and target.timeline not in archive.timelines:
        known = ", ".join(map(str, archive.timelines))
        yield Problem(
            code="timeline-missing",
            cause=f"there is no timeline {target.timeline} in the archive of {archive.server_name}",
            remedy=f"give one of: {known}; or leave --timeline out, to follow the newest",
        )
    elif target.backup_id is not None:
        incomplete = {backup.backup_id: backup.why for backup in archive.incomplete} if archive else {}
        yield from _problems_of_named(catalogue, target, base, incomplete.get(target.backup_id))
    elif base is None:
        yield from _problems_of_choice(catalogue, target)


def _problems_of_named(
    catalogue: Catalogue, target: RecoveryTarget, base: BaseBackup | None, incomplete: str | None
) -> Iterator[Problem]:
    newest = ", ".join(backup.backup_id for backup in reversed(catalogue.backups[-5:]))
    if base is None and incomplete is not None:
        yield Problem(
            code="backup-incomplete",
            cause=f"base backup {target.backup_id} of {catalogue.server_name} cannot be begun from: {incomplete}",
            remedy=f"give one of: {newest}; or, if it runs still, wait for its end",
        )
    elif base is None:
        yield Problem(
            code="backup-missing",
            cause=f"there is no completed base backup {target.backup_id} of {catalogue.server_name}",
            remedy=f"give one of: {newest}; python -m dr window lists them all",
        )
    elif target.time is not None and base.end > target.time:
        yield _later(base, target, str(RecoveryTarget(base.end)))
    elif target.lsn is not None and base.end_lsn > target.lsn:
        yield _later(base, target, f"LSN {lsn(base.end_lsn)}")


def _later(base: BaseBackup, target: RecoveryTarget, end: str) -> Problem:
    return Problem(
        code="backup-after-target",
        cause=f"base backup {base.backup_id} ended at {end}, after the target {target}: it cannot be gone back from",
        remedy="leave --backup-id out, or give the ID of an earlier one; python -m dr window lists them",
    )


def _problems_of_choice(catalogue: Catalogue, target: RecoveryTarget) -> Iterator[Problem]:
    there = [backup for backup in catalogue.backups if target.timeline in (None, backup.timeline)]
    if not there:
        yield Problem(
            code="no-backup-on-timeline",
            cause=f"no base backup was taken on timeline {target.timeline}: CloudNativePG takes others only by ID",
            remedy="add --backup-id of one that was taken before that timeline began; python -m dr window lists them",
        )
        return
    first = there[0]
    if target.lsn is not None:
        cause = f"the target {target} is not after the end of the first base backup, LSN {lsn(first.end_lsn)}"
        remedy = f"choose a target after {lsn(first.end_lsn)}"
    else:
        cause = f"the target {target} is before the first base backup ended, {RecoveryTarget(first.end)}"
        remedy = f"choose a target from {RecoveryTarget(first.end).rfc3339} on"
    yield Problem(code="target-before-first-backup", cause=cause, remedy=remedy)
