"""A stack of the infrastructure through the Automation API, over a ``pulumi`` double."""

import json
from pathlib import Path
from typing import Any

import pytest
from semver import Version

from dr.engine.command import Installation
from dr.engine.infrastructure_stack import InfrastructureStack
from dr.stacks.resources import durable_resources
from tests.support.doubles import calls_of, write_pulumi
from tests.support.infra_fixtures import a_durable
from tests.support.waiting import HANG_SECONDS

BUCKET, ACCOUNT, *_ = durable_resources(a_durable())
RESOURCES = [
    {"urn": "urn:pulumi:durable::postgres-dr::pulumi:pulumi:Stack::x", "type": "pulumi:pulumi:Stack", "custom": False},
    {"urn": BUCKET.urn("durable"), "type": BUCKET.type, "custom": True, "id": "backups-of-acme", "protect": True},
    {
        "urn": ACCOUNT.urn("durable"),
        "type": ACCOUNT.type,
        "custom": True,
        "id": "account-id",
        "dependencies": [BUCKET.urn("durable")],
    },
]

pytestmark = pytest.mark.usefixtures("own_home")


def _stack(folder: Path, resources: list[dict[str, Any]] | None = None) -> InfrastructureStack:
    """One whose state has ``resources``; there is none yet without any."""
    state = {"version": 3, "deployment": {"resources": resources or []}}
    code = f"""
if arguments[:2] == ["stack", "select"] and {resources is None}:
    print("error: no stack named 'durable' found", file=sys.stderr)
    sys.exit(6)
if arguments[:2] == ["stack", "export"]:
    print({json.dumps(state)!r})
if arguments[:2] == ["stack", "import"]:
    text = pathlib.Path(arguments[arguments.index("--file") + 1]).read_text()
    pathlib.Path({str(folder / "written.json")!r}).write_text(text)
if arguments[:2] == ["stack", "output"]:
    print("{{}}")
if arguments[:2] == ["stack", "history"]:
    times = {{"startTime": "2026-04-27T10:00:00.000Z", "endTime": "2026-04-27T10:00:01.000Z"}}
    print(json.dumps([{{"kind": "update", "message": "", "environment": {{}}, "config": {{}}, "version": 1,
                       "result": "succeeded", "resourceChanges": {{}}, **times}}]))
"""
    installed = Installation(program=str(write_pulumi(folder, code)), version=Version(3, 250, 0))
    return InfrastructureStack(a_durable(), installed)


def _arguments(folder: Path, verb: str) -> list[str]:
    (call,) = [call["arguments"] for call in calls_of(folder / "pulumi") if call["arguments"][0] == verb]
    return list(call)


def test_what_the_state_holds_is_read_by_urn(tmp_path: Path, own_home: Path) -> None:
    (own_home / "state" / "pulumi").mkdir(parents=True)
    assert _stack(tmp_path, RESOURCES).held() == {
        BUCKET.urn("durable"): "backups-of-acme",
        ACCOUNT.urn("durable"): "account-id",
    }


def test_without_a_stack_nothing_is_held_and_none_is_made(tmp_path: Path, own_home: Path) -> None:
    assert _stack(tmp_path).held() == {}
    assert not (own_home / "state" / "pulumi").exists()


def test_all_of_it_is_brought_up_and_refreshed_first(tmp_path: Path) -> None:
    stack = _stack(tmp_path, RESOURCES)
    stack.up()
    stack.result(HANG_SECONDS)
    arguments = _arguments(tmp_path, "up")
    assert "--refresh" in arguments
    assert "--target" not in arguments


def test_with_targets_only_they_are_dealt_with_and_nothing_is_refreshed(tmp_path: Path) -> None:
    stack = _stack(tmp_path, RESOURCES)
    stack.up({"backup-bucket": BUCKET.import_id}, targets=[BUCKET.urn("durable")])
    stack.result(HANG_SECONDS)
    arguments = _arguments(tmp_path, "up")
    assert BUCKET.urn("durable") in " ".join(arguments)
    assert "--refresh" not in arguments


def test_what_is_dropped_is_taken_out_of_the_state_protected_or_not(tmp_path: Path) -> None:
    stack = _stack(tmp_path, RESOURCES)
    stack.drop([BUCKET.urn("durable")])
    stack.result(HANG_SECONDS)
    resources = json.loads((tmp_path / "written.json").read_text())["deployment"]["resources"]
    assert [resource["urn"] for resource in resources] == [RESOURCES[0]["urn"], ACCOUNT.urn("durable")]
    assert resources[1]["dependencies"] == []
    verbs = {call["arguments"][0] for call in calls_of(tmp_path / "pulumi")}
    assert not verbs & {"up", "destroy", "refresh"}


def test_a_state_that_holds_none_of_it_is_not_written(tmp_path: Path) -> None:
    stack = _stack(tmp_path, RESOURCES)
    stack.drop(["urn:pulumi:durable::postgres-dr::x::gone"])
    stack.result(HANG_SECONDS)
    assert not (tmp_path / "written.json").exists()
