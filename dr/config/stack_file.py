"""A stack's file, ``Pulumi.<stack>.yaml``, read into a model of what it may say.

Every kind of stack is read this way, so that a wrong key is refused in the same words wherever it stands: which key,
its value, and what to write instead.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from dr.core.errors import ConfigError

PROJECT = "postgres-dr"
"""The Pulumi project's name, which is also the namespace of the configuration keys."""

_PULUMI_STACK_KEYS = {"config", "secretsprovider", "encryptedkey", "encryptionsalt", "environment"}


def _state_url(value: str) -> str:
    if not re.match(r"(file://(/|~)|gs://[a-z0-9])", value):
        raise ValueError(
            "is not a valid backend URL; write file:///absolute/folder, file://~/folder or gs://bucket/prefix"
        )
    return value


def _secrets_provider(value: str) -> str:
    if value != "passphrase" and not value.startswith("gcpkms://"):
        raise ValueError("write passphrase, or gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K")
    return value


Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
StateUrl = Annotated[str, AfterValidator(_state_url)]
SecretsProvider = Annotated[str, AfterValidator(_secrets_provider)]


class Section(BaseModel):
    """Unknown keys are refused, keys are written in camelCase, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, strict=True)


M = TypeVar("M", bound=Section)


def read_section(
    model: type[M], name: str, document: object, *, where: str, context: Mapping[str, Any] | None = None
) -> M:
    """What ``document``, a parsed ``Pulumi.<name>.yaml``, says, as a ``model``, which has a field ``name``.

    ``where`` names the file in messages, ``context`` is for the model's validators. Raises ConfigError.
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
    keys = own_keys(document)
    if "name" in keys:
        raise ConfigError(
            "config-unknown-key",
            f"{where}: unknown key {PROJECT}:name",
            "remove it: the file's name says it",
        )
    try:
        return model.model_validate({**keys, "name": name}, context=dict(context or {}))
    except ValidationError as error:
        faults = [_explain(model, dict(fault)) for fault in error.errors()]
        codes = {"extra_forbidden": "config-unknown-key", "missing": "config-missing-key"}
        code = codes.get(error.errors()[0]["type"], "config-wrong-value")
        raise ConfigError(
            code,
            f"{where}: " + "; ".join(cause for cause, _ in faults),
            "; ".join(dict.fromkeys(remedy for _, remedy in faults)),
        ) from error


def stack_file_text(section: Section, *, note: str) -> str:
    """The file that :func:`read_section` reads ``section`` from, without what is a default, below ``note``."""
    keys = section.model_dump(mode="json", by_alias=True, exclude={"name"}, exclude_defaults=True)
    config = {"pulumi:disable-default-providers": ["*"], **{f"{PROJECT}:{key}": value for key, value in keys.items()}}
    return f"# {note}\n{yaml.safe_dump({'config': config}, sort_keys=False)}"


def own_keys(document: object) -> dict[str, Any]:
    """The keys of this project in a stack file, without their ``postgres-dr:`` prefix."""
    config = document.get("config") if isinstance(document, Mapping) else None
    prefix = f"{PROJECT}:"
    if not isinstance(config, Mapping):
        return {}
    return {str(key).removeprefix(prefix): value for key, value in config.items() if str(key).startswith(prefix)}


def _explain(root: type[BaseModel], fault: Mapping[str, Any]) -> tuple[str, str]:
    """The cause and the remedy of one of pydantic's faults, in the words of the file."""
    path = ".".join(str(part) for part in fault["loc"])
    key = f"{PROJECT}:{path}" if path else "the configuration"
    value, message = fault.get("input"), str(fault["msg"]).removeprefix("Value error, ")
    match fault["type"]:
        case "missing":
            return f"{key} is missing", f"add {key}; docs/configuration.md shows an example"
        case "extra_forbidden":
            known = ", ".join(_known_keys(root, fault["loc"]))
            return f"unknown key {key} (value {value!r})", f"remove it or correct its spelling; known here: {known}"
        case "value_error" if not path:
            cause, _, remedy = message.partition("; ")
            return cause, remedy
        case "value_error":
            return f"{key} is {value!r}", message
        case _:
            return f"{key} is {value!r}", f"for {key}, {message[:1].lower()}{message[1:]}"


def _known_keys(root: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed where the unknown one stands."""
    model: Any = root
    for part in location[:-1]:
        if isinstance(part, str):
            field = next(field for field in model.model_fields.values() if field.alias == part)
            model = _section_in(field.annotation)
    aliases = (str(field.alias) for field in model.model_fields.values())
    return sorted(alias for alias in aliases if (model, alias) != (root, "name"))


def _section_in(annotation: Any) -> Any:
    """The section class in an annotation such as ``tuple[VerificationQuery, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(found for part in annotation.__args__ if (found := _section_in(part)) is not None)
