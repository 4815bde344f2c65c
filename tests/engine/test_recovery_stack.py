"""The recovery stack through the Automation API, over a ``pulumi`` double."""

import json
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest
from semver import Version

from dr.core.errors import EngineError, Problem, RefusedError
from dr.engine import background_stack
from dr.engine.changes import Changes
from dr.engine.command import Installation
from dr.engine.recovery_stack import RecoveryStack
from dr.stacks.declaration import Declaration
from tests.support.builders import a_recovered, an_environment
from tests.support.doubles import calls_of, write_pulumi
from tests.support.waiting import HANG_SECONDS

ANSWERS = """
if arguments[0] == "preview":
    summary = {"maybeCorrupt": False, "durationSeconds": 1, "resourceChanges": {}, "PolicyPacks": {}}
    events = [{"sequence": 0, "timestamp": 1, **event} for event in ({"summaryEvent": summary}, {"cancelEvent": {}})]
    lines = "".join(json.dumps(event) + "\\n" for event in events)
    pathlib.Path(arguments[arguments.index("--event-log") + 1]).write_text(lines)
if arguments[:2] == ["stack", "output"]:
    print("{}")
if arguments[:2] == ["stack", "history"]:
    times = {"startTime": "2026-04-27T10:00:00.000Z", "endTime": "2026-04-27T10:00:01.000Z"}
    print(json.dumps([{"kind": "update", "message": "", "environment": {}, "config": {}, "version": 1,
                       "result": "succeeded", "resourceChanges": {}, **times}]))
"""
ON_UP = 'if arguments[0] == "up":\n    '

pytestmark = pytest.mark.usefixtures("own_home")


def _stack(folder: Path, code: str) -> RecoveryStack:
    environment = an_environment()
    installed = Installation(program=str(write_pulumi(folder, code)), version=Version(3, 200, 0))
    return RecoveryStack(environment, installed)


def _pass(changes: Changes) -> None:
    """A judge who lets everything pass."""
    assert changes.stack == "prod"


def _failure(folder: Path, message: str) -> EngineError:
    stack = _stack(folder, f"{ON_UP}print({message!r}, file=sys.stderr); sys.exit(1)\n" + ANSWERS)
    stack.up(Declaration(clusters=(a_recovered(),)), _pass)
    with pytest.raises(EngineError) as failed:
        stack.result(HANG_SECONDS)
    return failed.value


@pytest.fixture
def started(tmp_path: Path) -> Iterator[int]:
    """The reading end of a FIFO that tells when ``up`` has begun."""
    os.mkfifo(tmp_path / "started")
    reader = os.open(tmp_path / "started", os.O_RDONLY | os.O_NONBLOCK)
    yield reader
    os.close(reader)


def _await(reader: int) -> None:
    readable, _, _ = select.select([reader], [], [], HANG_SECONDS)
    assert readable, "up was never started"


def test_the_stack_is_brought_up_once_and_refreshed_first(tmp_path: Path, own_home: Path) -> None:
    # WHEN
    stack = _stack(tmp_path, ANSWERS)
    stack.prepare()
    stack.up(Declaration(clusters=(a_recovered(),)), _pass)
    stack.result(HANG_SECONDS)
    # THEN
    assert not stack.running
    calls = calls_of(tmp_path / "pulumi")
    (up,) = [call for call in calls if call["arguments"][0] == "up"]
    assert "--refresh" in up["arguments"]
    assert "--yes" in up["arguments"]
    assert up["variables"]["PULUMI_BACKEND_URL"] == f"file://{own_home}/state/pulumi"


def _asked(folder: Path) -> list[str]:
    return [call["arguments"][0] for call in calls_of(folder / "pulumi")]


def test_the_preview_is_judged_before_anything_is_brought_up(tmp_path: Path) -> None:
    def refuse(changes: Changes) -> None:
        raise RefusedError([Problem(code="guard-refused", cause=f"no to {changes.stack}", remedy="do not")])

    stack = _stack(tmp_path, ANSWERS)
    stack.up(Declaration(), refuse)
    with pytest.raises(RefusedError, match="no to prod"):
        stack.result(HANG_SECONDS)
    assert "preview" in _asked(tmp_path)
    assert "up" not in _asked(tmp_path)


def test_what_was_foreseen_is_not_previewed_again(tmp_path: Path) -> None:
    stack = _stack(tmp_path, ANSWERS)
    stack.foresee(Declaration(clusters=(a_recovered(),)))
    stack.up(Declaration(clusters=(a_recovered(),)), _pass)
    stack.result(HANG_SECONDS)
    assert [asked for asked in _asked(tmp_path) if asked in {"preview", "up"}] == ["preview", "up"]


def test_another_declaration_than_was_foreseen_is_previewed_anew(tmp_path: Path) -> None:
    stack = _stack(tmp_path, ANSWERS)
    stack.foresee(Declaration())
    stack.up(Declaration(clusters=(a_recovered(),)), _pass)
    stack.result(HANG_SECONDS)
    assert [asked for asked in _asked(tmp_path) if asked in {"preview", "up"}] == ["preview", "preview", "up"]


def test_the_workspace_is_in_the_state_folder_and_names_the_project(tmp_path: Path, own_home: Path) -> None:
    stack = _stack(tmp_path, ANSWERS)
    stack.up(Declaration(), _pass)
    stack.result(HANG_SECONDS)
    assert "name: postgres-dr" in (own_home / "state" / "workspace" / "prod" / "Pulumi.yaml").read_text()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("error: [409] Conflict: Another update is currently in progress.", "state-locked"),
        (
            (
                "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or "
                "delete the lock file with `pulumi cancel`.\n  file:///x/0b1f.json: created by ann@ops-1 (pid 4711)"
            ),
            "state-locked",
        ),
        ("error: getting secrets manager: passphrase must be set: incorrect passphrase", "passphrase-wrong"),
        ("error: no resource plugin 'pulumi-resource-kubernetes' found", "engine-failed"),
    ],
)
def test_what_pulumi_says_becomes_our_error(tmp_path: Path, message: str, code: str) -> None:
    failure = _failure(tmp_path, message)
    assert (failure.code, failure.exit_code) == (code, 6)
    assert failure.remedy


def test_a_lock_is_told_with_its_holder(tmp_path: Path) -> None:
    failure = _failure(
        tmp_path, "error: the stack is currently locked by 1 lock(s).\n  created by ann@ops-1 (pid 4711)"
    )
    assert "ann@ops-1 (pid 4711)" in failure.cause


def test_a_failure_shows_the_last_lines_only(tmp_path: Path) -> None:
    failure = _failure(tmp_path, "\n".join(f"line {number}" for number in range(500)))
    assert "line 499" in failure.cause
    assert "line 100" not in failure.cause


def test_a_failure_shows_the_cause_and_not_the_outputs_after_it(tmp_path: Path) -> None:
    outputs = [f"    output-{number}: x" for number in range(20)]
    cause = ["Diagnostics:", "  gcp:container:Cluster (cluster):", "    error: Quota 'CPUS' exceeded.", ""]
    told = ["+ cluster creating", *cause, "Outputs:", *outputs, "Resources:", "    1 errored"]
    failure = _failure(tmp_path, "\n".join(told))
    assert "gcp:container:Cluster (cluster): / error: Quota 'CPUS' exceeded." in failure.cause
    assert "output-19" not in failure.cause


def test_opening_that_fails_is_told_by_the_result(tmp_path: Path) -> None:
    stack = _stack(tmp_path, "print('error: incorrect passphrase', file=sys.stderr); sys.exit(1)\n")
    stack.up(Declaration(), _pass)
    with pytest.raises(EngineError, match="does not open"):
        stack.result(HANG_SECONDS)


def test_an_engine_that_does_not_obey_is_ended_by_force(
    tmp_path: Path, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a program that ignores interrupts, in the middle of `up`
    monkeypatch.setattr(background_stack, "_GRACE_SECONDS", 0.05)
    fifo = str(tmp_path / "started")
    code = f"{ON_UP}signal.signal(signal.SIGINT, signal.SIG_IGN); open({fifo!r}, 'w').write('x'); signal.pause()\n"
    stack = _stack(tmp_path, code + ANSWERS)
    stack.up(Declaration(), _pass)
    _await(started)
    # WHEN
    stack.interrupt()
    # THEN
    with pytest.raises(EngineError):
        stack.result(HANG_SECONDS)
    assert not stack.running


def test_an_engine_that_obeys_writes_its_state(tmp_path: Path, started: int) -> None:
    fifo, written = str(tmp_path / "started"), tmp_path / "written"
    # Closed by its finalizer, the FIFO would swallow an exit that comes just then. Not signal.pause(): a signal that
    # comes just before it would be waited for in vain.
    code = f"""
def end(*_):
    with open({str(written)!r}, "a") as state:
        state.write("written.")
    sys.exit(8)
if arguments[0] == "up":
    import time
    signal.signal(signal.SIGINT, end)
    with open({fifo!r}, "w") as file:
        file.write("x")
    while True:
        time.sleep(0.02)
"""
    stack = _stack(tmp_path, code + ANSWERS)
    stack.up(Declaration(), _pass)
    _await(started)
    stack.interrupt()
    assert written.read_text() == "written.", "asked once"
    assert not stack.running


def test_interrupting_what_was_never_started_is_harmless(tmp_path: Path) -> None:
    stack = _stack(tmp_path, ANSWERS)
    stack.interrupt()
    stack.result()
    assert not stack.running


def test_forgetting_takes_the_resources_out_of_the_state_and_nothing_more(tmp_path: Path) -> None:
    # GIVEN a state with a Cluster and the Service
    kinds = ("pulumi:pulumi:Stack", "pulumi:providers:kubernetes", "kubernetes:postgresql.cnpg.io/v1:Cluster")
    state = {
        "version": 3,
        "deployment": {"secrets_providers": {"type": "x"}, "resources": [{"type": k} for k in kinds]},
    }
    written = tmp_path / "written.json"
    code = f"""
if arguments[:2] == ["stack", "export"]:
    print({json.dumps(state)!r})
if arguments[:2] == ["stack", "import"]:
    text = pathlib.Path(arguments[arguments.index("--file") + 1]).read_text()
    pathlib.Path({str(written)!r}).write_text(text)
"""
    # WHEN
    stack = _stack(tmp_path, code + ANSWERS)
    stack.forget()
    stack.result(HANG_SECONDS)
    # THEN
    now = json.loads(written.read_text())
    assert [resource["type"] for resource in now["deployment"]["resources"]] == list(kinds[:2])
    assert now["deployment"]["secrets_providers"] == {"type": "x"}
    assert not [call for call in calls_of(tmp_path / "pulumi") if call["arguments"][0] in {"up", "destroy"}]


def test_what_is_declared_next_waits_for_what_is_under_way(tmp_path: Path) -> None:
    # GIVEN an update under way
    stack = _stack(tmp_path, ANSWERS)
    stack.up(Declaration(clusters=(a_recovered(),)), _pass)
    # WHEN another is asked for at once
    stack.up(Declaration(clusters=(a_recovered(),)), _pass)
    stack.result(HANG_SECONDS)
    # THEN both were made, the second after the end of the first
    done = [call["arguments"][0] for call in calls_of(tmp_path / "pulumi")]
    first, second = (index for index, name in enumerate(done) if name == "up")
    assert "stack" in done[first:second]
    assert not stack.running


def test_after_a_failure_nothing_more_is_declared(tmp_path: Path) -> None:
    stack = _stack(tmp_path, f"{ON_UP}print('no', file=sys.stderr); sys.exit(1)\n" + ANSWERS)
    stack.up(Declaration(clusters=(a_recovered(),)), _pass)
    stack.up(Declaration(clusters=(a_recovered(),)), _pass)
    with pytest.raises(EngineError):
        stack.result(HANG_SECONDS)
    assert [call["arguments"][0] for call in calls_of(tmp_path / "pulumi")].count("up") == 1
