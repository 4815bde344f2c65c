"""``dr preview``, in this process, over a ``pulumi`` double that writes the engine's events."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dr.main import run
from tests.support.builders import RECOVERED_HOST, SOURCE_HOST, a_record, a_recovered, config_map_of, object_of
from tests.support.doubles import LAST_EVENT, Wire, calls_of, nothing_changed, write_pulumi
from tests.support.infra_fixtures import durable_document, platform_document

CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
RECORD = "/api/v1/namespaces/data/configmaps/postgres-dr-prod"
SERVICE = "/api/v1/namespaces/data/services/prod-postgres"
PATCH = "kubernetes:core/v1:ServicePatch"
SUMMARY: dict[str, Any] = {"maybeCorrupt": False, "durationSeconds": 1, "resourceChanges": {}, "PolicyPacks": {}}


def _engine(folder: Path, *steps: dict[str, Any]) -> None:
    events = [{"resourcePreEvent": {"metadata": step}} for step in steps]
    lines = [{"sequence": n, "timestamp": 1, **event} for n, event in enumerate([*events, {"summaryEvent": SUMMARY}])]
    text = "".join(json.dumps(line) + "\n" for line in [*lines, LAST_EVENT])
    code = (
        'if arguments[0] == "preview":\n'
        f'    pathlib.Path(arguments[arguments.index("--event-log") + 1]).write_text({text!r})\n'
    )
    write_pulumi(folder / "bin", code, version="v3.200.0")


def _switch(op: str, host: str) -> dict[str, Any]:
    def state(to: str) -> dict[str, Any]:
        inputs = {"metadata": {"name": "prod-postgres", "namespace": "data"}, "spec": {"externalName": to}}
        return {"type": PATCH, "urn": "", "inputs": inputs}

    urn = f"urn:pulumi:prod::postgres-dr::{PATCH}::traffic"
    return {"op": op, "urn": urn, "type": PATCH, "provider": "", "old": state(SOURCE_HOST), "new": state(host)}


def _preview(folder: Path, *more: str) -> int:
    return run(["preview", "--config-dir", str(folder), "--env", "prod", *more])


@pytest.fixture
def recovered(place: Path, wire: Wire) -> Path:
    wire.on(CLUSTERS, {"items": [object_of(a_recovered())]})
    wire.on(RECORD, config_map_of(a_record(a_recovered())))
    wire.on(SERVICE, {"metadata": {}, "spec": {"externalName": SOURCE_HOST}})
    return place


def test_nothing_to_do_is_zero(recovered: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    _engine(recovered, _switch("same", SOURCE_HOST))
    assert _preview(recovered) == 0
    assert "prod: 1 kept" in capsys.readouterr().out
    assert nothing_changed(wire)


def test_a_change_is_two_and_a_danger_three(recovered: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    _engine(recovered, _switch("update", RECOVERED_HOST))
    assert _preview(recovered, "--format", "json") == 3
    told = json.loads(capsys.readouterr().out)
    assert [violation["rule"] for violation in told["dangers"]] == ["traffic-unproven"]
    wire.on(RECORD, config_map_of(a_record(a_recovered()).with_verified("postgres-prod-recovered", 7)))
    assert _preview(recovered, "--json") == 2
    assert json.loads(capsys.readouterr().out)["exitCode"] == 2


def test_an_override_that_was_typed_makes_a_danger_a_change(
    recovered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _engine(recovered, _switch("update", RECOVERED_HOST))
    assert _preview(recovered, "--override", "traffic-unproven=traffic") == 2
    assert "overridden until" in capsys.readouterr().out
    assert _preview(recovered, "--override", "traffic-unproven=another") == 3


@pytest.mark.parametrize("text", ["traffic-unproven", "no-such-rule=traffic", "=", "traffic-unproven="])
def test_an_override_that_names_no_rule_or_no_resource_is_refused(
    recovered: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _preview(recovered, "--override", text) == 1
    assert "is not a rule" in capsys.readouterr().err


def test_what_cannot_be_found_out_is_one_in_every_form(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _preview(place, "--context", "elsewhere", "--format", "markdown") == 1
    assert capsys.readouterr().out.startswith("### ⛔ prod: no preview")
    assert _preview(place, "--context", "elsewhere", "--json") == 1
    assert json.loads(capsys.readouterr().out)["problems"][0]["code"] == "context-not-the-environments"
    assert _preview(place, "--context", "elsewhere") == 1
    assert "is not the one of prod" in capsys.readouterr().err


def test_markdown_fits_the_limit(recovered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _engine(recovered, _switch("update", RECOVERED_HOST))
    assert _preview(recovered, "--format", "markdown", "--limit", "600") == 3
    assert len(capsys.readouterr().out) <= 601


def test_only_a_preview_is_run(recovered: Path) -> None:
    _engine(recovered, _switch("same", SOURCE_HOST))
    _preview(recovered)
    asked = [call["arguments"][0] for call in calls_of(recovered / "bin" / "pulumi")]
    assert "up" not in asked
    assert "preview" in asked


def test_a_stack_below_is_judged_in_the_same_way(recovered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, document in (("durable", durable_document()), ("platform", platform_document())):
        (recovered / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump(document))
    path = recovered / "Pulumi.prod.yaml"
    document = yaml.safe_load(path.read_text())
    document["config"]["postgres-dr:infrastructure"] = {"durable": "durable", "platform": "platform"}
    path.write_text(yaml.safe_dump(document))
    kind = "gcp:storage/bucket:Bucket"
    urn = f"urn:pulumi:durable::postgres-dr::{kind}::backup-bucket"
    old = {"type": kind, "urn": urn, "inputs": {"name": "acme-backups"}}
    _engine(recovered, {"op": "delete", "urn": urn, "type": kind, "provider": "", "old": old})
    assert _preview(recovered, "--of", "durable", "--json") == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["environment"], [violation["rule"] for violation in told["dangers"]]) == ("durable", ["backup-bucket"])
