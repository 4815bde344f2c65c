"""The checks of ``dr health`` by name, and from when on each warns: the ``health`` section of ``Pulumi.<env>.yaml``.

The defaults fit what the environments are run by: a base backup each night, ``archive_timeout`` of five minutes, thirty
days of retention.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from dr.config.stack_file import Name, Section


def _check_name(value: str) -> str:
    if value not in CHECKS:
        raise ValueError(f"is not a known check; write one of {', '.join(CHECKS)}")
    return value


class Limits(Section):
    """Two bounds of one measure. It warns from the first on."""

    warning: Annotated[float, Field(ge=0)]
    critical: Annotated[float, Field(ge=0)]


class UpTo(Limits):
    """Of a measure that is worse the larger it is."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.warning > self.critical:
            raise ValueError(f"warning is {self.warning:g} and critical {self.critical:g}: write the smaller one first")
        return self


class DownTo(Limits):
    """Of a measure that is worse the smaller it is."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.warning < self.critical:
            raise ValueError(f"warning is {self.warning:g} and critical {self.critical:g}: write the larger one first")
        return self


class Acknowledged(Section):
    """A finding that is known, and does not count until a day: it is shown, and the exit code is as without it."""

    check: Annotated[str, AfterValidator(_check_name)]
    until: Annotated[date, Field(strict=False)]
    why: Annotated[str, Field(min_length=1)]


class HealthSettings(Section):
    """What is normal for an environment."""

    operator_namespace: Name = "cnpg-system"
    """Where CloudNativePG's operator and the Barman Cloud plugin run."""
    base_backup_age_hours: UpTo = UpTo(warning=26, critical=50)
    """Of the newest complete base backup. One is taken each night."""
    wal_waiting_seconds: UpTo = UpTo(warning=120, critical=900)
    """How long a full segment has waited to be archived."""
    wal_age_seconds: UpTo = UpTo(warning=900, critical=3600)
    """Since a segment was archived, while at least one more was written."""
    volume_percent: UpTo = UpTo(warning=80, critical=90)
    """How full a volume is."""
    replication_lag_seconds: UpTo = UpTo(warning=60, critical=600)
    clock_skew_seconds: UpTo = UpTo(warning=5, critical=60)
    """Between this machine and the database: targets are given by the one and found by the other."""
    rto_percent: UpTo = UpTo(warning=80, critical=100)
    """Of the goal (``goals.rtoMinutes``), by the predicted recovery."""
    certificate_days: DownTo = DownTo(warning=6, critical=2)
    """Until a certificate or a token ends. CloudNativePG renews its own seven days before."""
    end_of_life_days: DownTo = DownTo(warning=30, critical=0)
    """Until the operator's version is supported no more."""
    size_ratio: Annotated[float, Field(gt=1)] = 2
    """By how much a base backup may be larger or smaller than those before it."""
    retention_days: Annotated[int, Field(ge=1)] = 30
    """For how long everything has to be kept."""
    bucket_location: str | None = None
    """Where the bucket has to be, as Cloud Storage names it; without it any place will do."""
    end_of_life: Mapping[str, Annotated[date, Field(strict=False)]] = {}
    """Days that the built-in table of CloudNativePG's versions does not know yet, such as ``"1.31": 2027-03-31``."""
    acknowledged: Annotated[tuple[Acknowledged, ...], Field(strict=False)] = ()

    def acknowledgement(self, check: str, now: datetime) -> str:
        """Why a finding of ``check`` does not count at ``now``; empty when it does."""
        for known in self.acknowledged:
            if known.check == check and now.date() <= known.until:
                return f"known until {known.until}: {known.why}"
        return ""


CHECKS = (
    *("cluster", "replication", "volumes", "clock", "operation", "leftovers"),
    *("archiving", "wal-lag", "wal-holes", "wal-readable", "window", "databases"),
    *("base-backup", "backup-objects", "backup-size", "backup-runs", "schedule", "claims"),
    *("bucket", "retention", "bucket-location", "credentials", "identity"),
    *("operator", "operator-version", "archive-method", "plugin", "argocd"),
    *("engine", "rto"),
)
