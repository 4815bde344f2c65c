"""Manifests against the schemas of their kinds."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dr.gitops.manifest_schemas import Schemas, faults, faults_of_folder, read_schemas

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "properties": {
                "instances": {"type": "integer", "minimum": 1},
                "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                "reason": {"type": "string", "nullable": True},
                "anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {}},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
    },
}


@pytest.fixture
def schemas(tmp_path: Path) -> Schemas:
    definition = {
        "kind": "CustomResourceDefinition",
        "spec": {
            "group": "db.test",
            "names": {"kind": "Base"},
            "versions": [{"name": "v1", "schema": {"openAPIV3Schema": SCHEMA}}],
        },
    }
    path = tmp_path / "crds.yaml"
    path.write_text(yaml.safe_dump_all([{"kind": "Namespace"}, definition, None]))
    return read_schemas(path)


def base(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "db.test/v1", "kind": "Base", "metadata": {"name": "one", "labels": {}}, "spec": spec}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"instances": 1},
        {"port": 5432},
        {"port": "postgres"},
        {"reason": None},
        {"anything": {"at": {"all": 1}}},
        {"labels": {"a": "b"}},
    ],
)
def test_what_the_api_server_would_take_has_no_faults(schemas: Schemas, spec: dict[str, Any]) -> None:
    assert list(faults(base(**spec), schemas)) == []


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ({"instances": 0}, "spec.instances"),
        ({"instances": "2"}, "spec.instances"),
        ({"instnces": 2}, "spec"),
        ({"labels": {"a": 1}}, "spec.labels.a"),
        ({"reason": 7}, "spec.reason"),
        ({"port": 1.5}, "spec.port"),
    ],
)
def test_what_it_would_refuse_or_leave_out_is_told_with_its_place(
    schemas: Schemas, spec: dict[str, Any], place: str
) -> None:
    (fault,) = faults(base(**spec), schemas)
    assert fault.startswith(f"Base one: {place}: ")


def test_a_kind_without_a_schema_is_not_judged(schemas: Schemas) -> None:
    assert list(faults({**base(), "kind": "Other", "spec": {"x": 1}}, schemas)) == []


def test_all_files_below_a_folder_are_looked_at(schemas: Schemas, tmp_path: Path) -> None:
    folder = tmp_path / "k8s" / "prod"
    folder.mkdir(parents=True)
    (folder / "good.yaml").write_text(yaml.safe_dump_all([base(), {"kind": "Service"}]))
    (folder / "wrong.yml").write_text(yaml.safe_dump(base(instnces=2)))
    (folder / "broken.yaml").write_text("a: [\n")
    (folder / "notes.txt").write_text("a: [\n")
    found = list(faults_of_folder(tmp_path / "k8s", schemas))
    assert [Path(fault.split(":")[0]).name for fault in found] == ["broken.yaml", "wrong.yml"]
