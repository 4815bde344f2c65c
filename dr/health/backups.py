"""Health of the base backups: what the bucket has, what CloudNativePG claims, and whether the next one will come.

Pure.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import median

from dr.config.health import HealthSettings
from dr.core.text import exact_moment_of, format_duration, mebibytes_of
from dr.health.check import Check, State, Unavailable, graded
from dr.health.snapshot import ArchiveSeen, BackupObjects, BackupRun, HealthSnapshot

_COMPLETED = "completed"
_UNDER_WAY = {"", "pending", "started", "running", "finalizing"}
_FAILED = {"failed", "walArchivingFailing", "invalid backup definition"}
"""The phases of a Backup (CloudNativePG's ``backup_types.go``)."""
_MUCH_TOO_LONG = timedelta(hours=6)
"""A base backup that still runs."""
_OVERDUE = timedelta(minutes=15)
_LISTED = timedelta(minutes=5)
"""Between the end of a base backup and the time that CloudNativePG writes down for it."""
_COMPARED = 7
_ENOUGH = 3
"""Base backups to compare the newest one with: at most, and at least."""


def checks_of_backups(snapshot: HealthSnapshot, settings: HealthSettings) -> Iterator[Check]:
    """The checks ``base-backup``, ``backup-objects``, ``backup-size``, ``backup-runs``, ``schedule`` and ``claims``."""
    archive = snapshot.archive
    if isinstance(archive, Unavailable):
        yield from (archive.as_check(name) for name in ("base-backup", "backup-objects", "backup-size"))
    else:
        yield _age(archive, snapshot, settings)
        yield _objects(archive, snapshot)
        yield _size(archive, snapshot, settings)
    yield _runs(snapshot)
    yield _schedule(snapshot)
    yield _claims(snapshot, settings)


def _age(seen: ArchiveSeen, snapshot: HealthSnapshot, settings: HealthSettings) -> Check:
    name = "base-backup"
    if seen.archive is None or not seen.archive.backups:
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"the bucket has no complete base backup of {seen.server_name}: nothing can be recovered",
            remedy=f"take one now: {snapshot.take_one}; then look at its ScheduledBackup",
        )
    newest = seen.archive.backups[-1]
    age = (snapshot.seen_at - newest.end).total_seconds()
    state = graded(age / 3600, settings.base_backup_age_hours)
    return Check(
        name=name,
        state=state,
        message=f"{newest.backup_id} ended {format_duration(age)} ago; there are {len(seen.archive.backups)}",
        remedy=f"take one now ({snapshot.take_one}), and see why none came: the checks schedule and backup-runs"
        if state is not State.OK
        else "",
        values={"base_backup_age_seconds": age, "base_backups_total": len(seen.archive.backups)},
    )


def _objects(seen: ArchiveSeen, snapshot: HealthSnapshot) -> Check:
    name, objects = "backup-objects", snapshot.objects
    if isinstance(objects, Unavailable):
        return objects.as_check(name)
    backups = seen.archive.backups if seen.archive else ()
    hollow = [backup.backup_id for backup in backups if not objects.get(backup.backup_id)]
    if not hollow:
        return Check(name=name, state=State.OK, message="every complete base backup has its data")
    newest = hollow[-1] == backups[-1].backup_id
    return Check(
        name=name,
        state=State.CRITICAL if newest else State.WARNING,
        message=f"of {', '.join(hollow)} only the description is in the bucket: the data was deleted",
        remedy="take a base backup now, and find out what deleted it (a lifecycle rule? whose credentials?)",
    )


def _size(seen: ArchiveSeen, snapshot: HealthSnapshot, settings: HealthSettings) -> Check:
    name, objects = "backup-size", snapshot.objects
    if isinstance(objects, Unavailable):
        return objects.as_check(name)
    backups = seen.archive.backups if seen.archive else ()
    sizes = [size for backup in backups if (size := objects.get(backup.backup_id))]
    before = sizes[-1 - _COMPARED : -1]
    values = {"base_backup_stored_bytes": sizes[-1]} if sizes else {}
    if len(before) < _ENOUGH:
        told = f"there are too few to compare with: {len(sizes)}"
        return Check(name=name, state=State.OK, message=told, values=values)
    usual = median(before)
    ratio = sizes[-1] / usual
    told = f"the newest has {mebibytes_of(sizes[-1])}, those before it {mebibytes_of(usual)}"
    if 1 / settings.size_ratio <= ratio <= settings.size_ratio:
        return Check(name=name, state=State.OK, message=told, values=values)
    return Check(
        name=name,
        state=State.WARNING,
        message=f"{told}: was data lost, or is something growing?",
        remedy=f"compare with the live database; a drill shows what is in the backup: {snapshot.commands.dr('drill')}",
        values=values,
    )


def _runs(snapshot: HealthSnapshot) -> Check:
    name, seen = "backup-runs", snapshot.backups
    if isinstance(seen, Unavailable):
        return seen.as_check(name)
    if not seen.runs:
        return Check(
            name=name, state=State.OK, message="there are no Backup objects", values={"backups_failed_total": 0}
        )
    # A volume snapshot that succeeds says nothing about the bucket, and the other way round.
    into_bucket, snapshots = ([run for run in seen.runs if run.in_bucket is kind] for kind in (True, False))
    found = [_newest(runs, snapshot) for runs in (into_bucket, snapshots) if runs]
    return max(found, key=lambda check: check.state)


def _newest(runs: list[BackupRun], snapshot: HealthSnapshot) -> Check:
    """The newest of ``runs``, of which there is one at least."""
    name, newest = "backup-runs", runs[-1]
    describe = snapshot.commands.kubectl("describe", "backup", newest.name, namespace=snapshot.namespace)
    what = "Backup" if newest.in_bucket else "Backup as a volume snapshot"
    failed = [run for run in runs if run.phase in _FAILED]
    values = {"backups_failed_total": len(failed)}
    if newest.phase in _FAILED:
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"the newest {what}, {newest.name}, is {newest.phase}: {newest.error or 'it does not say why'}",
            remedy=f"{describe}; remove the cause, and take one: {snapshot.take_one}",
            values=values,
        )
    if newest.phase not in {_COMPLETED, *_UNDER_WAY}:
        return Check(
            name=name,
            state=State.WARNING,
            message=f"the newest {what}, {newest.name}, is in a phase that is not known here: {newest.phase}",
            remedy=describe,
            values=values,
        )
    running = snapshot.seen_at - newest.created
    if newest.phase != _COMPLETED and running > _MUCH_TOO_LONG:
        return Check(
            name=name,
            state=State.WARNING,
            message=f"Backup {newest.name} is {newest.phase or 'not started'} since {format_duration(running)}",
            remedy=f"{describe}; delete it if it hangs, and take another",
            values=values,
        )
    told = f"the newest {what}, {newest.name}, is {newest.phase or 'not started'}"
    return Check(name=name, state=State.OK, message=told + _earlier(failed), values=values)


def _earlier(failed: list[BackupRun]) -> str:
    return f"; {len(failed)} earlier failed" if failed else ""


def _schedule(snapshot: HealthSnapshot) -> Check:
    name, seen, serving = "schedule", snapshot.backups, snapshot.serving
    if isinstance(seen, Unavailable):
        return seen.as_check(name)
    if not seen.schedules:
        whose = f" of {serving.cluster.name}" if not isinstance(serving, Unavailable) else ""
        return Check(
            name=name,
            state=State.WARNING,
            message=f"there is no ScheduledBackup{whose}: no base backup is taken automatically",
            remedy=f"declare one, in Git too; {snapshot.commands.dr('finalize')} does so for a recovered Cluster",
        )
    active = [schedule for schedule in seen.schedules if not schedule.suspended]
    if not active:
        names = ", ".join(schedule.name for schedule in seen.schedules)
        return Check(
            name=name,
            state=State.WARNING,
            message=f"ScheduledBackup {names} is suspended: no base backup is taken automatically",
            remedy=snapshot.commands.kubectl(
                "patch",
                "scheduledbackup",
                seen.schedules[0].name,
                *("--type", "merge", "-p", '{"spec":{"suspend":false}}'),
                namespace=snapshot.namespace,
            ),
        )
    if not any(schedule.in_bucket for schedule in active):
        names = ", ".join(schedule.name for schedule in active)
        return Check(
            name=name,
            state=State.WARNING,
            message=f"ScheduledBackup {names} makes volume snapshots only: no base backup reaches the bucket",
            remedy="declare one more, of method barmanObjectStore or plugin, in Git too",
        )
    late = [one for one in active if one.next_at and snapshot.seen_at - one.next_at > _OVERDUE]
    if late:
        since = format_duration(snapshot.seen_at - late[0].next_at) if late[0].next_at else ""
        return Check(
            name=name,
            state=State.WARNING,
            message=f"ScheduledBackup {late[0].name} is {since} overdue",
            remedy="does the operator run? See the check operator, and its log",
        )
    coming = min((one.next_at for one in active if one.next_at), default=None)
    told = f"the next at {exact_moment_of(coming)}" if coming else f"{active[0].schedule}"
    return Check(name=name, state=State.OK, message=told)


def _claims(snapshot: HealthSnapshot, settings: HealthSettings) -> Check:
    """Whether the bucket has what CloudNativePG says was backed up."""
    name, archive, serving, objects = "claims", snapshot.archive, snapshot.serving, snapshot.backups
    if isinstance(archive, Unavailable):
        return archive.as_check(name)
    if isinstance(serving, Unavailable):
        return serving.as_check(name)
    if isinstance(objects, Unavailable):
        return objects.as_check(name)
    there = {backup.backup_id: backup.end for backup in (archive.archive.backups if archive.archive else ())}
    newest = max(there.values(), default=None)
    claimed = serving.claimed_backup
    remedy = "the bucket is what counts: take a base backup now, and find out who deleted it (is it the right bucket?)"
    if claimed and (newest is None or claimed - newest > _LISTED):
        return Check(
            name=name,
            state=State.CRITICAL,
            message=f"{serving.cluster.name} claims a base backup at {exact_moment_of(claimed)}; "
            "the newest in the bucket "
            f"{f'ended at {exact_moment_of(newest)}' if newest else 'is none'}",
            remedy=remedy,
        )
    since = snapshot.seen_at - timedelta(days=settings.retention_days)
    gone = [run for run in _kept(objects, since) if run.backup_id not in there]
    if gone:
        return Check(
            name=name,
            state=State.CRITICAL if gone[-1] is _last(objects, since) else State.WARNING,
            message=f"the bucket does not have {', '.join(run.backup_id for run in gone)}, "
            f"which Backup {gone[-1].name} calls completed",
            remedy=remedy,
        )
    return Check(name=name, state=State.OK, message="the bucket has every base backup that is called completed")


def _kept(objects: BackupObjects, since: datetime) -> list[BackupRun]:
    """The runs that were completed within the retention, oldest first."""
    return [run for run in objects.runs if run.phase == _COMPLETED and run.backup_id and run.created >= since]


def _last(objects: BackupObjects, since: datetime) -> BackupRun:
    return _kept(objects, since)[-1]
