"""What an environment is: the ``postgres-dr:`` keys of ``Pulumi.<env>.yaml``.

One model, read by ``python -m dr`` and by ``pulumi up``, so that the two can never disagree about
names, places or limits. The values are the environment's; no name of a particular installation stands in code.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator
from pydantic.alias_generators import to_camel, to_snake

from dr.model.errors import ConfigError
from dr.model.names import cluster_name_fault

PROJECT = "postgres-dr"
"""The Pulumi project's name, which is also the namespace of the configuration keys."""

_PULUMI_STACK_KEYS = {"config", "secretsprovider", "encryptedkey", "encryptionsalt", "environment"}


def _cluster_name(value: str) -> str:
    if fault := cluster_name_fault(value):
        raise ValueError(f"{fault}; write a shorter or simpler name, such as postgres-prod")
    return value


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not a URL; write one such as https://api.example.org/health")
    return value


def _folder(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError("is no folder below the repository's root; write one such as k8s/envs/prod/manifests")
    return str(path)


def _state_url(value: str) -> str:
    if not re.match(r"(file://(/|~)|gs://[a-z0-9])", value):
        raise ValueError("is no place for state; write file:///absolute/folder, file://~/folder or gs://bucket/prefix")
    return value


def _secrets_provider(value: str) -> str:
    if value != "passphrase" and not value.startswith("gcpkms://"):
        raise ValueError("write passphrase, or gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K")
    return value


def _one_statement(value: str) -> str:
    if ";" in value or not re.match(r"\s*(select|with|show|table)\b", value, re.IGNORECASE):
        raise ValueError("write one SELECT without a semicolon: a verification only reads")
    return value


Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
ClusterName = Annotated[str, AfterValidator(_cluster_name)]


class _Section(BaseModel):
    """Unknown keys are refused, keys are written in camelCase, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, strict=True)


class KubernetesAccess(_Section):
    """Which cluster, and only that one."""

    context: Annotated[str, Field(min_length=1)]
    """The kubeconfig context of this environment. The kubeconfig's current context is never used."""
    kubeconfig: str | None = None
    """One kubeconfig file; without it ``$KUBECONFIG``, then ``~/.kube/config``."""


class BackupPlace(_Section):
    """Where base backups and WAL segments lie: ``gs://<bucket>/<path>/<serverName>/{base,wals}/``."""

    bucket: Annotated[str, Field(min_length=3, pattern=r"^[a-z0-9][-a-z0-9._]*$")]
    path: Annotated[str, Field(min_length=1, pattern=r"^[^/].*[^/]$|^[^/]$")]

    @property
    def url(self) -> str:
        """The ``destinationPath`` that CloudNativePG knows it by."""
        return f"gs://{self.bucket}/{self.path}"


class Workloads(_Section):
    """The Deployments that write to the database and are stopped before a recovery."""

    namespace: Name
    deployments: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
    replicas: Annotated[int, Field(ge=1)] = 2
    """The count to return to when none is remembered."""


class GitPlace(_Section):
    """Where Git declares the Cluster, for ``finalize``."""

    manifests: Annotated[str, AfterValidator(_folder)]
    """The folder of the Cluster's manifests, below the repository's root."""
    repository: str | None = None
    """The repository's URL, to refuse a checkout of another one; where Argo CD is in the cluster, it knows."""


class Timeouts(_Section):
    """How long to wait, in minutes. Fractions are allowed."""

    recovery_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 20
    rebuild_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 10

    @property
    def recovery(self) -> timedelta:
        """The longest a recovered Cluster may take from creation to healthy."""
        return timedelta(minutes=self.recovery_minutes)


class Goals(_Section):
    """What a recovery should achieve; nothing is refused by it."""

    rto_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 30
    """The longest that the database may be away. Reports and predictions are measured by it."""


class VerificationQuery(_Section):
    """A question to the recovered database whose answer a person, or ``atLeast``, can judge."""

    name: Annotated[str, Field(min_length=1)]
    sql: Annotated[str, AfterValidator(_one_statement)]
    at_least: int | None = None
    """The smallest answer that passes; without it any answer does."""


class Environment(_Section):
    """One environment, as ``Pulumi.<env>.yaml`` describes it."""

    name: Name
    gcp_project: Name
    kubernetes: KubernetesAccess
    backup: BackupPlace
    namespace: Name
    source_cluster: ClusterName
    recovered_cluster: ClusterName
    service: Name
    workloads: Workloads
    timeouts: Timeouts = Timeouts()
    goals: Goals = Goals()
    verification: Annotated[tuple[VerificationQuery, ...], Field(min_length=1, strict=False)]
    git: GitPlace | None = None
    smoke_test_url: Annotated[str, AfterValidator(_url)] | None = None
    cloud_status_url: Annotated[str, AfterValidator(_url)] = "https://status.cloud.google.com/incidents.json"
    """Google's own list of incidents, for ``diagnose``."""
    confirmation: Literal["answer", "name"] = "name"
    """How to agree to a plan: ``answer`` takes y, ``name`` wants the recovered cluster's name typed."""
    state_backend: Annotated[str, AfterValidator(_state_url)] | None = None
    """Where Pulumi keeps state; without it a folder of the user's own (see docs/configuration.md)."""
    secrets_provider: Annotated[str, AfterValidator(_secrets_provider)] = "passphrase"

    @property
    def service_hosts(self) -> tuple[str, ...]:
        """The names by which clients inside the cluster reach the Service, shortest first."""
        short = f"{self.service}.{self.namespace}"
        return (self.service, short, f"{short}.svc", f"{short}.svc.cluster.local")

    @model_validator(mode="after")
    def _no_contradiction(self, info: ValidationInfo) -> Self:
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

    ``where`` names the file in messages; ``others`` are the documents of the environments beside it, so that one that
    points at another's database is refused. Raises ConfigError that names every wrong key, its value, and what to write
    instead.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("config"), Mapping):
        raise ConfigError(
            "config-malformed",
            f"{where} has no `config:` mapping",
            f"write `config:` and below it the {PROJECT}: keys; docs/configuration.md lists them",
        )
    if unknown := sorted(map(str, set(document) - _PULUMI_STACK_KEYS)):
        raise ConfigError(
            "config-unknown-key",
            f"{where}: unknown top-level key {unknown[0]!r}",
            f"remove it, or move it below `config:` as {PROJECT}:{unknown[0]}",
        )
    keys = _own_keys(document)
    if "name" in keys:
        raise ConfigError(
            "config-unknown-key",
            f"{where}: unknown key {PROJECT}:name",
            "remove it: the file's name is the environment's",
        )
    try:
        return Environment.model_validate(
            {**keys, "name": name},
            context={"others": {other: _own_keys(beside) for other, beside in (others or {}).items()}},
        )
    except ValidationError as error:
        faults = [_explain(dict(fault)) for fault in error.errors()]
        codes = {"extra_forbidden": "config-unknown-key", "missing": "config-missing-key"}
        code = codes.get(error.errors()[0]["type"], "config-wrong-value")
        raise ConfigError(
            code,
            f"{where}: " + "; ".join(cause for cause, _ in faults),
            "; ".join(dict.fromkeys(remedy for _, remedy in faults)),
        ) from error


def _own_keys(document: object) -> dict[str, Any]:
    """The keys of this project in a stack file, without their ``postgres-dr:`` prefix."""
    config = document.get("config") if isinstance(document, Mapping) else None
    prefix = f"{PROJECT}:"
    if not isinstance(config, Mapping):
        return {}
    return {str(key).removeprefix(prefix): value for key, value in config.items() if str(key).startswith(prefix)}


def _explain(fault: Mapping[str, Any]) -> tuple[str, str]:
    """The cause and the remedy of one of pydantic's faults, in the words of the file."""
    path = ".".join(str(part) for part in fault["loc"])
    key = f"{PROJECT}:{path}" if path else "the configuration"
    value, message = fault.get("input"), str(fault["msg"]).removeprefix("Value error, ")
    match fault["type"]:
        case "missing":
            return f"{key} is missing", f"add {key}; docs/configuration.md shows an example"
        case "extra_forbidden":
            known = ", ".join(_known_keys(fault["loc"]))
            return f"unknown key {key} (value {value!r})", f"remove it or correct its spelling; known here: {known}"
        case "value_error" if not path:
            cause, _, remedy = message.partition("; ")
            return cause, remedy
        case "value_error":
            return f"{key} is {value!r}", message
        case _:
            return f"{key} is {value!r}", f"for {key}, {message[:1].lower()}{message[1:]}"


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed where the unknown one stands."""
    model: Any = Environment
    for part in location[:-1]:
        if isinstance(part, str):
            field = next(field for field in model.model_fields.values() if field.alias == part)
            model = _section_in(field.annotation)
    aliases = (str(field.alias) for field in model.model_fields.values())
    return sorted(alias for alias in aliases if (model, alias) != (Environment, "name"))


def _section_in(annotation: Any) -> Any:
    """The section class in an annotation such as ``tuple[VerificationQuery, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(found for part in annotation.__args__ if (found := _section_in(part)) is not None)
