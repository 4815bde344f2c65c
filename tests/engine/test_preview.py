"""A preview read through the Automation API, over a ``pulumi`` double that writes the engine's events."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from semver import Version

from dr.core.errors import EngineError
from dr.engine.changes import Changes, Op
from dr.engine.command import Installation
from dr.engine.recovery_stack import RecoveryStack
from dr.stacks.declaration import Declaration
from tests.support.builders import an_environment
from tests.support.doubles import LAST_EVENT, calls_of, write_pulumi

CLUSTER = "kubernetes:postgresql.cnpg.io/v1:Cluster"
SUMMARY = {
    "summaryEvent": {"maybeCorrupt": False, "durationSeconds": 1, "resourceChanges": {"create": 1}, "PolicyPacks": {}}
}

pytestmark = pytest.mark.usefixtures("own_home")


def _urn(kind: str, name: str) -> str:
    return f"urn:pulumi:prod::postgres-dr::{kind}::{name}"


def _step(op: str, name: str, *, kind: str = CLUSTER, **more: Any) -> dict[str, Any]:
    return {"resourcePreEvent": {"metadata": {"op": op, "urn": _urn(kind, name), "type": kind, "provider": "", **more}}}


def _state(inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": CLUSTER, "urn": "", "custom": True, "id": "data/x", "inputs": inputs, "outputs": {}, **more}


def _error(message: str, urn: str = "") -> dict[str, Any]:
    return {"diagnosticEvent": {"message": f"<{{%reset%}}>{message}", "color": "raw", "severity": "error", "urn": urn}}


def _read(folder: Path, events: list[dict[str, Any]], *, ends: int = 0, before: str = "") -> Changes:
    """Preview with a double of an engine that is old enough to write its events into a file."""
    told = [{"sequence": number, "timestamp": 1, **event} for number, event in enumerate([*events, SUMMARY])]
    told.append(LAST_EVENT)
    code = before + (
        'if arguments[0] == "preview":\n'
        '    with open(arguments[arguments.index("--event-log") + 1], "w") as file:\n'
        f"        file.write({''.join(json.dumps(one) + chr(10) for one in told)!r})\n"
        f"    sys.exit({ends})\n"
    )
    environment = an_environment()
    installed = Installation(program=str(write_pulumi(folder, code, version="v3.200.0")), version=Version(3, 200, 0))
    return RecoveryStack(environment, installed).preview(Declaration())


def test_each_resource_is_told_once_with_what_changes(tmp_path: Path) -> None:
    changes = _read(
        tmp_path,
        [
            _step("same", "kept", old=_state({"spec": {}}), new=_state({"spec": {}})),
            _step(
                "update",
                "one",
                old=_state({"spec": {"instances": 1}}, protect=True),
                new=_state({"spec": {"instances": 3}}),
                detailedDiff={"spec.instances": {"diffKind": "update", "inputDiff": True}},
            ),
        ],
    )
    assert [(change.name, change.op) for change in changes.items] == [("kept", Op.KEEP), ("one", Op.UPDATE)]
    (path,) = changes.items[1].paths
    assert (path.path, path.before, path.after) == ("spec.instances", 1, 3)
    assert changes.items[1].protected


def test_the_preview_refreshes_first_and_changes_nothing(tmp_path: Path, own_home: Path) -> None:
    _read(tmp_path, [])
    calls = calls_of(tmp_path / "pulumi")
    (asked,) = [call["arguments"] for call in calls if call["arguments"][0] == "preview"]
    assert "--refresh" in asked
    assert not [call for call in calls if call["arguments"][:1] == ["up"] or call["arguments"][:2] == ["stack", "init"]]
    assert not (own_home / "state" / "workspace").exists()


def test_a_stack_that_does_not_exist_is_previewed_and_not_made(tmp_path: Path, own_home: Path) -> None:
    backend = f"file://{own_home}/state/pulumi"
    missing = (
        f'if arguments[:2] == ["stack", "select"] and os.environ["PULUMI_BACKEND_URL"] == {backend!r}:\n'
        "    print(\"error: no stack named 'prod' found\", file=sys.stderr); sys.exit(255)\n"
    )
    changes = _read(tmp_path, [_step("create", "one", new=_state({}))], before=missing)
    assert [change.op for change in changes.items] == [Op.CREATE]
    made = [call for call in calls_of(tmp_path / "pulumi") if call["arguments"][:2] == ["stack", "init"]]
    assert [call for call in made if call["variables"]["PULUMI_BACKEND_URL"] == backend] == []


def test_what_is_protected_and_would_go_is_an_answer_and_no_error(tmp_path: Path) -> None:
    text = "unable to delete resource as it is currently marked for protection"
    changes = _read(tmp_path, [_error(text, _urn(CLUSTER, "postgres-prod-recovered"))], ends=255)
    (change,) = changes.items
    assert (change.op, change.type, change.name) == (Op.DELETE, CLUSTER, "postgres-prod-recovered")
    assert change.protected
    assert changes.faults == (text,)


def test_any_other_failure_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="Pulumi failed"):
        _read(tmp_path, [_error("the cluster is unreachable")], ends=255)


def test_warnings_are_told_without_their_colours(tmp_path: Path) -> None:
    told = {"diagnosticEvent": {"message": "<{%fg 3%}>careful<{%reset%}>\n", "color": "raw", "severity": "warning"}}
    assert _read(tmp_path, [told, told]).remarks == ("careful",)


def test_the_stacks_outputs_are_those_that_will_be(tmp_path: Path) -> None:
    kind = "pulumi:pulumi:Stack"
    state = {**_state({}), "type": kind, "outputs": {"cluster": "postgres-prod-recovered", "password": "hush"}}
    event = {"resOutputsEvent": _step("same", "prod", kind=kind, new=state)["resourcePreEvent"]}
    outputs = _read(tmp_path, [event]).outputs
    assert outputs["cluster"] == "postgres-prod-recovered"
    assert not re.search("hush", json.dumps(dict(outputs)))
