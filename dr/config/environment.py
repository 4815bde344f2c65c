"""What an environment is: the ``postgres-dr:`` keys of ``Pulumi.<env>.yaml``, with the guard's rules that it may
override.

One model, read by ``python -m dr`` and by ``pulumi up``, so that the two can never disagree about
names, places or limits. The values are the environment's; no name of a particular installation stands in code.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, ValidationInfo, model_validator
from pydantic.alias_generators import to_snake

from dr.config.backup_location import BackupLocation, Kind
from dr.config.health import HealthSettings
from dr.config.kubernetes_access import KubernetesAccess
from dr.config.names import cluster_name_fault, recovered_name_fault
from dr.config.stack_file import Name, SecretsProvider, Section, StateUrl, own_keys, read_section
from dr.core.commands import CommandLines
from dr.core.errors import RequestError
from dr.core.target import LATEST, TimeTarget


class Rule(StrEnum):
    """The rules, by the names that an override is given by."""

    BACKUP_BUCKET = "backup-bucket"
    BACKUP_RETENTION = "backup-retention"
    BACKUP_ACCESS = "backup-access"
    CLUSTER_SERVING = "cluster-serving"
    CLUSTER_LAST = "cluster-last"
    CLUSTER_PLATFORM = "cluster-house"
    TRAFFIC_UNPROVEN = "traffic-unproven"
    TWO_WRITERS = "two-writers"
    TARGET_OUTSIDE = "target-outside"


MEANINGS: Mapping[Rule, str] = {
    Rule.BACKUP_BUCKET: "never delete or replace the bucket of the backups",
    Rule.BACKUP_RETENTION: "never shorten how long backups are kept",
    Rule.BACKUP_ACCESS: "never remove the account that writes the backups, or its rights",
    Rule.CLUSTER_SERVING: "never delete or replace the Cluster that takes the traffic",
    Rule.CLUSTER_LAST: "never delete or replace the last Cluster that holds data",
    Rule.CLUSTER_PLATFORM: "never delete or replace what Clusters with data live in",
    Rule.TRAFFIC_UNPROVEN: "never move traffic to a Cluster that is not healthy and verified",
    Rule.TWO_WRITERS: "never name two writers for one serverName",
    Rule.TARGET_OUTSIDE: "never recover to a target outside the window",
}


@dataclass(frozen=True, kw_only=True)
class Override:
    """One rule, for one resource, until a moment (aware UTC), and why. Where it counts, it is written into the
    journal.
    """

    rule: Rule
    resource: str
    reason: str
    until: datetime

    def covers(self, rule: Rule, resource: str, *, now: datetime) -> bool:
        """Whether this lets ``rule`` be broken by ``resource`` at ``now``."""
        return (self.rule, self.resource) == (rule, resource) and now < self.until


def _cluster_name(value: str) -> str:
    if fault := cluster_name_fault(value):
        raise ValueError(f"{fault}; write a shorter or simpler name, such as postgres-prod")
    return value


def _recovered_name(value: str) -> str:
    if fault := recovered_name_fault(value):
        raise ValueError(f"{fault}; write a shorter or simpler name, such as postgres-prod-recovered")
    return value


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not a URL; write one such as https://api.example.org/health")
    return value


def _folder(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError("is not a folder below the repository's root; write one such as k8s/envs/prod/manifests")
    return str(path)


def _one_statement(value: str) -> str:
    if ";" in value or not re.match(r"\s*(select|with|show|table)\b", value, re.IGNORECASE):
        raise ValueError("write one SELECT without a semicolon: a verification only reads")
    return value


def _moment(value: object) -> str:
    """A time with a zone, in RFC 3339 and UTC. YAML has read it already where it was written without quotes."""
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    try:
        return TimeTarget.parse(text, now=datetime.max.replace(tzinfo=UTC)).value
    except RequestError as error:
        raise ValueError(f"{error.cause.split(': ', 1)[-1]}; write one such as 2026-04-27T09:55:00Z") from error


def _target(value: object) -> str:
    return LATEST if value == LATEST else _moment(value)


ClusterName = Annotated[str, AfterValidator(_cluster_name)]
RecoveredName = Annotated[str, AfterValidator(_recovered_name)]


class Workloads(Section):
    """The Deployments that write to the database and are stopped before a recovery."""

    namespace: Name
    deployments: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
    replicas: Annotated[int, Field(ge=1)] = 2
    """The count to return to when none is remembered."""


class GitLocation(Section):
    """Where Git declares the Cluster, for ``finalize``."""

    manifests: Annotated[str, AfterValidator(_folder)]
    """The folder of the Cluster's manifests, below the repository's root."""
    repository: str | None = None
    """The repository's URL, to refuse a checkout of another one; where Argo CD is in the cluster, it knows."""


class Timeouts(Section):
    """How long to wait, in minutes. Fractions are allowed."""

    recovery_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 20
    rebuild_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 10

    @property
    def recovery(self) -> timedelta:
        """The longest a recovered Cluster may take from creation to healthy."""
        return timedelta(minutes=self.recovery_minutes)


class Goals(Section):
    """What a recovery should achieve; nothing is refused by it."""

    rto_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 30
    """The longest that the database may be away. Reports and predictions are measured by it."""


class VerificationQuery(Section):
    """A question to the recovered database whose answer a person, or ``atLeast``, can judge."""

    name: Annotated[str, Field(min_length=1)]
    sql: Annotated[str, AfterValidator(_one_statement)]
    at_least: int | None = None
    """The smallest answer that passes; without it any answer does."""


class InfrastructureStacks(Section):
    """The stacks of the infrastructure that this environment lives on; environments of one project share them."""

    durable: Name = "durable"
    platform: Name = "platform"
    argocd: Name | None = None


class DesiredRecovery(Section):
    """What ``pulumi up`` by hand is asked for (docs/pulumi-cli.md)."""

    target_time: Annotated[str, BeforeValidator(_target)]
    """The time to recover to, in RFC 3339 and UTC, or ``latest``."""
    cutover: bool | None = None
    """Whether the Service points to what was recovered; without it nothing is said of the traffic."""


class GuardOverride(Section):
    """A rule of the guard that is overridden."""

    rule: Annotated[Rule, Field(strict=False)]
    resource: Annotated[str, Field(min_length=1)]
    """The name that the resource is declared by."""
    reason: Annotated[str, Field(min_length=10)]
    until: Annotated[str, BeforeValidator(_moment)]

    @property
    def override(self) -> Override:
        """The same as a value."""
        return Override(
            rule=self.rule, resource=self.resource, reason=self.reason, until=datetime.fromisoformat(self.until)
        )


class Environment(Section):
    """One environment, as ``Pulumi.<env>.yaml`` describes it."""

    name: Name
    gcp_project: Annotated[str, Field(max_length=253, pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$")]
    """Empty where nothing is at Google: the backups are in another store, and no infrastructure is named."""
    kubernetes: KubernetesAccess
    backup: BackupLocation
    namespace: Name
    source_cluster: ClusterName
    recovered_cluster: RecoveredName
    service: Name
    workloads: Workloads
    timeouts: Timeouts = Timeouts()
    goals: Goals = Goals()
    health: HealthSettings = HealthSettings()
    verification: Annotated[tuple[VerificationQuery, ...], Field(min_length=1, strict=False)]
    git: GitLocation | None = None
    infrastructure: InfrastructureStacks | None = None
    """Where the infrastructure is declared; without it nothing of it is ever looked at or rebuilt."""
    smoke_test_url: Annotated[str, AfterValidator(_url)] | None = None
    cloud_status_url: Annotated[str, AfterValidator(_url)] = "https://status.cloud.google.com/incidents.json"
    """Google's own list of incidents, for ``diagnose``."""
    confirmation: Literal["answer", "name"] = "name"
    """How to agree to a plan: ``answer`` takes y, ``name`` wants the recovered cluster's name typed."""
    state_backend: StateUrl | None = None
    """Where Pulumi keeps state; without it a folder of the user's own (see docs/configuration.md)."""
    secrets_provider: SecretsProvider = "passphrase"
    recovery: DesiredRecovery | None = None
    overrides: Annotated[tuple[GuardOverride, ...], Field(strict=False)] = ()
    _said: dict[str, str] = PrivateAttr(default_factory=dict)

    def said_with(self, **more: str) -> Self:
        """The same environment, whose printed commands have ``more``, fields of CommandLines."""
        found = self.model_copy()
        found._said = {**self._said, **more}  # noqa: SLF001 - of the same class
        return found

    @property
    def commands(self) -> CommandLines:
        """The commands on this environment and its cluster, to be printed."""
        return replace(self.kubernetes.commands, **{"environment": self.name, **self._said})

    @property
    def service_hosts(self) -> tuple[str, ...]:
        """The names by which clients inside the cluster reach the Service, shortest first."""
        short = f"{self.service}.{self.namespace}"
        return (self.service, short, f"{short}.svc", f"{short}.svc.cluster.local")

    @model_validator(mode="before")
    @classmethod
    def _may_be_without_google(cls, keys: Any) -> Any:
        place = keys.get("backup") if isinstance(keys, Mapping) else None
        if isinstance(place, Mapping) and not BackupLocation.is_at_google(place) and "infrastructure" not in keys:
            return {"gcpProject": "", **keys}
        return keys

    @model_validator(mode="after")
    def _no_contradiction(self, info: ValidationInfo) -> Self:
        if not self.gcp_project and (self.backup.store is Kind.GCS or self.infrastructure is not None):
            raise ValueError("gcpProject is empty; write the project that the bucket or the infrastructure is in")
        self.backup.belongs_to(self.kubernetes, self.namespace)
        if self.recovered_cluster == self.source_cluster:
            raise ValueError(
                f"recoveredCluster and sourceCluster are both {self.source_cluster!r}: CloudNativePG never recovers "
                f"in place; write recoveredCluster: {self.source_cluster}-recovered"
            )
        names = [query.name for query in self.verification]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"verification has two queries named {twice[0]!r}; give each a name of its own")
        for other, keys in (info.context or {}).get("others", {}).items():
            for key in ("sourceCluster", "recoveredCluster", "service"):
                mine = getattr(self, to_snake(key))
                if keys.get(key) == mine and keys.get("namespace") == self.namespace:
                    raise ValueError(
                        f"{key} is {mine!r}, which is the {other} environment's; write the one of {self.name}"
                    )
        return self


def parse_environment(
    name: str, document: object, *, where: str, others: Mapping[str, object] | None = None
) -> Environment:
    """The environment ``name`` from ``document``, a parsed ``Pulumi.<name>.yaml``.

    ``where`` names the file in messages; ``others`` are the documents of the environments next to it, so that one that
    points at another's database is refused. Raises ConfigError that names every wrong key, its value, and what to write
    instead.
    """
    beside = {other: own_keys(document) for other, document in (others or {}).items()}
    return read_section(Environment, name, document, where=where, context={"others": beside})
