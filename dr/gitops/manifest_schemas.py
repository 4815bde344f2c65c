"""Manifests against the schemas of their kinds: what a Kubernetes API server would refuse or silently leave out.

The schemas are those of CustomResourceDefinitions, as CloudNativePG's release manifest has them. A key that a schema
does not know is a fault here: the API server would prune it, and nobody would ever learn that it did nothing.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

_ALWAYS = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}

Schemas = Mapping[tuple[str, str], Draft202012Validator]


def read_schemas(path: Path) -> Schemas:
    """The schemas of every served version in a file of CustomResourceDefinitions, by apiVersion and kind."""
    found: dict[tuple[str, str], Draft202012Validator] = {}
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        if not isinstance(document, Mapping) or document.get("kind") != "CustomResourceDefinition":
            continue
        spec = document["spec"]
        for version in spec["versions"]:
            schema = _strict(version["schema"]["openAPIV3Schema"])
            schema["properties"] = {**schema.get("properties", {}), **_ALWAYS}
            name = (f"{spec['group']}/{version['name']}", str(spec["names"]["kind"]))
            found[name] = Draft202012Validator(schema)
    return found


def faults(manifest: Mapping[str, Any], schemas: Schemas) -> Iterator[str]:
    """What is wrong with one manifest, each with its place. A kind that has no schema here has no faults."""
    validator = schemas.get((str(manifest.get("apiVersion")), str(manifest.get("kind"))))
    if validator is None:
        return
    name = (manifest.get("metadata") or {}).get("name")
    for error in sorted(validator.iter_errors(manifest), key=lambda error: list(map(str, error.absolute_path))):
        place = ".".join(map(str, error.absolute_path)) or "the manifest"
        yield f"{manifest['kind']} {name}: {place}: {error.message[:300]}"


def faults_of_folder(folder: Path, schemas: Schemas) -> Iterator[str]:
    """What is wrong with the manifests in the YAML files of ``folder`` and below it."""
    for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        try:
            documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            yield f"{path}: cannot be read: {' '.join(str(error).split())}"
            continue
        for document in documents:
            if isinstance(document, Mapping):
                yield from (f"{path}: {fault}" for fault in faults(document, schemas))


def _strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAPI's structural schema as JSON Schema: ``nullable`` and int-or-string in its words, and unknown keys refused
    where the API server would prune them.
    """
    made = {
        key: value for key, value in schema.items() if not key.startswith("x-") and key not in {"nullable", "format"}
    }
    if "properties" in schema:
        made["properties"] = {key: _strict(value) for key, value in schema["properties"].items()}
        if "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            made[key] = _strict(schema[key])
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("anyOf", None)
        made["type"] = ["integer", "string"]
        made.pop("pattern", None)
    if schema.get("nullable") and "type" in made:
        made["type"] = [*([made["type"]] if isinstance(made["type"], str) else made["type"]), "null"]
    return made
