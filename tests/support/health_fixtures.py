"""Snapshots of healthy environments, to be changed by ``dataclasses.replace``."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from dr.archive.bucket import BucketFacts, DeleteRule
from dr.archive.contents import Archive, BaseBackup
from dr.cnpg.cluster import ClusterSnapshot
from dr.health.check import Check, Unavailable
from dr.health.evaluate import judge
from dr.health.snapshot import (
    ArchiveSeen,
    BackupObjects,
    BackupRun,
    DatabaseFacts,
    HealthSnapshot,
    Identity,
    Operators,
    Program,
    Schedule,
    ServingCluster,
    Volume,
)
from tests.support.archives import archive, wal
from tests.support.archives import backup as archived_backup
from tests.support.builders import SOURCE_HOST, a_source, an_environment

ARCHIVED = archive(*(archived_backup(144 * day) for day in range(5)), files=wal(range(700)))
"""A base backup each day, and a segment every ten minutes; see :func:`tests.support.archives.at`."""
LAST_SEGMENT = max(name for name in ARCHIVED.files)
SEEN_AT = ARCHIVED.files[LAST_SEGMENT] or ARCHIVED.backups[-1].end
"""The moment at which the last segment was archived."""
UNSEEN = Unavailable(code="forbidden", why="not allowed to look", remedy="ask for it")


def a_serving(cluster: ClusterSnapshot | None = None, **changes: Any) -> ServingCluster:
    """The source, with one instance, which the Service points to."""
    good = ServingCluster(
        cluster=cluster or a_source(),
        external_name=SOURCE_HOST,
        serves=True,
        instances=1,
        ready_instances=1,
        pods=("postgres-prod-1",),
        claimed_backup=ARCHIVED.backups[-1].end,
        certificates={"postgres-prod-server": SEEN_AT + timedelta(days=80)},
        retention_policy="30d",
    )
    return replace(good, **changes)


def a_database(**changes: Any) -> DatabaseFacts:
    """A database that has just archived the last segment of :data:`ARCHIVED`, and has written a MiB since."""
    size = ARCHIVED.segment_size
    good = DatabaseFacts(
        asked_at=SEEN_AT,
        now=SEEN_AT,
        position=700 * size + 2**20,
        segment_size=size,
        size=2**30,
        wal_size=10 * size,
        archive_timeout=timedelta(minutes=5),
        last_archived=LAST_SEGMENT,
        last_archived_at=SEEN_AT,
        last_failed="",
        last_failed_at=None,
        waiting=0,
        waiting_since=None,
    )
    return replace(good, **changes)


def a_run(made: BaseBackup, phase: str = "completed", **changes: Any) -> BackupRun:
    """The Backup object of ``made``."""
    good = BackupRun(
        name=f"run-of-{made.backup_id}",
        phase=phase,
        error="",
        backup_id=made.backup_id,
        created=made.begin,
        ended=made.end,
    )
    return replace(good, **changes)


def a_schedule(**changes: Any) -> Schedule:
    """A ScheduledBackup that comes again tomorrow."""
    good = Schedule(name="postgres-prod", schedule="0 0 3 * * *", suspended=False, next_at=SEEN_AT + timedelta(hours=4))
    return replace(good, **changes)


def a_volume(used: int = 40, free: int = 60, **changes: Any) -> Volume:
    """A volume of the primary, in GiB."""
    good = Volume(
        pod="postgres-prod-1", path="/var/lib/postgresql/data", used=used * 2**30, free=free * 2**30, claimed=None
    )
    return replace(good, **changes)


def seen(found: Archive | None, *server_names: str) -> ArchiveSeen:
    """What the bucket has of ``postgres-prod``."""
    return ArchiveSeen(
        server_name="postgres-prod", archive=found, server_names=frozenset(server_names or ({"postgres-prod"}))
    )


def stored(*sizes: int) -> Mapping[str, int]:
    """The bytes of the base backups of :data:`ARCHIVED`, the newest last; a GiB where not given."""
    ids = [backup.backup_id for backup in ARCHIVED.backups]
    return {**dict.fromkeys(ids, 2**30), **dict(zip(ids[len(ids) - len(sizes) :], sizes, strict=True))}


def a_snapshot(**changes: Any) -> HealthSnapshot:
    """Everything in order."""
    good = HealthSnapshot(
        commands=an_environment().commands,
        seen_at=SEEN_AT,
        serving=a_serving(),
        database=a_database(),
        volumes=(a_volume(),),
        archive=seen(ARCHIVED),
        objects=stored(),
        bucket=BucketFacts(location="EUROPE-WEST1", deletes=(DeleteRule(age_days=30),)),
        backups=BackupObjects(runs=tuple(map(a_run, ARCHIVED.backups)), schedules=(a_schedule(),)),
        operators=Operators(operator=Program(name="cnpg-controller-manager", version="1.30.0", ready=1), plugin=None),
        identity=Identity(account="postgres-prod", found=True, google="backup@acme.iam.gserviceaccount.com"),
        argocd=(),
        record=None,
        scratches=(),
        engine="pulumi 3.250.0; the state of prod can be opened",
        own_ends={},
    )
    return replace(good, **changes)


def checks(environment: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Check]:
    """The checks by name, of :func:`a_snapshot` with ``changes``; ``environment`` are configuration keys."""
    found = judge(an_environment(**(environment or {})), a_snapshot(**changes), seconds=0.5)
    return {check.name: check for check in found.checks}
