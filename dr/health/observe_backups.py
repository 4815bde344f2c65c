"""CloudNativePG's own objects about base backups: those that were taken, and those that will be."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dr.cnpg.clusters import list_objects
from dr.health.snapshot import BackupObjects, BackupRun, Schedule
from dr.kube.api import KubernetesApi

_SNAPSHOT = "volumeSnapshot"
"""The method whose backups are in no bucket."""


def list_backup_objects(api: KubernetesApi, namespace: str, cluster: str) -> BackupObjects:
    """The Backups and ScheduledBackups of ``cluster``. Raises AccessError."""
    backups, scheduled = (list_objects(api, namespace, plural) for plural in ("backups", "scheduledbackups"))
    return BackupObjects(
        runs=tuple(
            sorted(
                (_run(raw) for raw in backups if raw["spec"]["cluster"]["name"] == cluster), key=lambda run: run.created
            )
        ),
        schedules=tuple(_schedule(raw) for raw in scheduled if raw["spec"]["cluster"]["name"] == cluster),
    )


def _run(raw: Mapping[str, Any]) -> BackupRun:
    metadata, status = raw["metadata"], raw.get("status") or {}
    return BackupRun(
        name=metadata["name"],
        phase=status.get("phase") or "",
        error=status.get("error") or "",
        backup_id="" if raw["spec"].get("method") == _SNAPSHOT else status.get("backupId") or "",
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        ended=_time(status.get("stoppedAt")),
    )


def _schedule(raw: Mapping[str, Any]) -> Schedule:
    spec, status = raw["spec"], raw.get("status") or {}
    return Schedule(
        name=raw["metadata"]["name"],
        schedule=spec["schedule"],
        suspended=bool(spec.get("suspend")),
        next_at=_time(status.get("nextScheduleTime")),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
