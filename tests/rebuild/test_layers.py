"""Bringing a stack up: looked at, judged, and again where Google only needs time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from dr.core.errors import DrError, EngineError, InterruptedOperationError, RefusedError
from dr.engine.changes import Change, Changes, Op
from dr.guard.rules import Seen
from dr.rebuild.layers import Watch, bring_up, summary
from tests.support.doubles import Impatient

BUCKET = "gcp:storage/bucket:Bucket"
NETWORK = "gcp:compute/network:Network"
QUOTA = "googleapi: Error 403: Quota 'CPUS' exceeded.  Limit: 8.0, quotaExceeded"
NOT_YET = "googleapi: Error 400: Service account a@p.iam.gserviceaccount.com does not exist., badRequest"


def _change(op: Op, name: str = "network", kind: str = NETWORK) -> Change:
    return Change(op=op, type=kind, urn=f"urn:pulumi:platform::postgres-dr::{kind}::{name}")


@dataclass
class LayerDouble:
    """A stack: ``looks`` are what each look says, ``ends`` how each ``up`` ends, None for well."""

    looks: list[Changes]
    ends: list[EngineError | None] = field(default_factory=list)
    title: str = "platform stack"
    done: list[str] = field(default_factory=list)
    seconds_each: int = 0

    def claim(self, *, take_over: bool) -> None:
        self.done.append("claim")

    def look(self) -> Changes:
        self.done.append("look")
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def up(self) -> None:
        self.done.append("up")
        self._left = self.seconds_each

    @property
    def running(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def result(self) -> None:
        if error := self.ends.pop(0) if self.ends else None:
            raise error

    def interrupt(self) -> None:
        self.done.append("interrupt")


SOMETHING = Changes(stack="platform", items=(_change(Op.CREATE), _change(Op.IMPORT, "router")))
NOTHING = Changes(stack="platform", items=(_change(Op.KEEP),))


def _failed(text: str) -> EngineError:
    return EngineError("engine-failed", f"Pulumi failed: {text}", "fix it")


def _up(layer: LayerDouble, stop: Impatient | None = None, said: list[str] | None = None) -> str:
    say: Callable[[str], Any] = (said if said is not None else []).append
    return bring_up(layer, Seen(), Watch(stop=stop or Impatient(), say=say))


def _refused(layer: LayerDouble, kind: type[DrError], stop: Impatient | None = None) -> DrError:
    with pytest.raises(kind) as raised:
        _up(layer, stop)
    return raised.value


def test_a_stack_that_is_as_it_should_be_is_only_looked_at() -> None:
    layer = LayerDouble([NOTHING])
    assert _up(layer) == "nothing to do: it is as it should be"
    assert layer.done == ["look", "interrupt"]


def test_what_changes_is_looked_at_first_and_told() -> None:
    layer, said = LayerDouble([SOMETHING], seconds_each=2), list[str]()
    assert _up(layer, said=said) == "imports 1 (router); creates 1 (network)"
    assert layer.done == ["look", "up", "interrupt"]
    assert said == ["looking at what is there of the platform stack", *["imports 1 (router); creates 1 (network)"] * 3]


def test_what_the_guard_does_not_allow_is_never_brought_up() -> None:
    layer = LayerDouble([Changes(stack="durable", items=(_change(Op.DELETE, "backup-bucket", BUCKET),))])
    error = _refused(layer, RefusedError)
    assert (error.code, layer.done) == ("guard-refused", ["look", "interrupt"])
    assert "backup-bucket" in error.cause


def test_a_preview_that_fails_brings_nothing_up() -> None:
    layer = LayerDouble([Changes(stack="platform", faults=("no program",))])
    assert "no program" in _refused(layer, EngineError).cause
    assert "up" not in layer.done


def test_what_passes_by_itself_is_waited_for_and_looked_at_anew() -> None:
    layer, stop, said = LayerDouble([SOMETHING], [_failed(NOT_YET), _failed(NOT_YET), None]), Impatient(), list[str]()
    assert _up(layer, stop, said).startswith("imports")
    assert layer.done == ["look", "up", "look", "up", "look", "up", "interrupt"]
    assert stop.waited == [10.0, 20.0]
    assert any("waiting 10 s before try 2" in line for line in said)


def test_what_does_not_pass_ends_with_its_cause_and_what_helps() -> None:
    error = _refused(LayerDouble([SOMETHING], [_failed(QUOTA)]), EngineError)
    assert error.code == "quota-exceeded"
    assert "the platform stack does not come up: a quota of the project does not allow it" in error.cause
    assert "python -m dr resume" in error.remedy


def test_what_never_passes_is_given_up_after_minutes() -> None:
    stop = Impatient()
    error = _refused(LayerDouble([SOMETHING], [_failed(NOT_YET)] * 9), EngineError, stop)
    assert error.code == "not-known-yet"
    assert sum(seconds or 0 for seconds in stop.waited) == 250


def test_what_is_not_recognised_is_told_as_it_is_and_not_tried_again() -> None:
    layer = LayerDouble([SOMETHING], [_failed("something else")])
    assert _refused(layer, EngineError).cause == "Pulumi failed: something else"
    assert layer.done.count("up") == 1


@pytest.mark.parametrize("ends", [[None], [_failed(NOT_YET)]])
def test_being_told_to_stop_ends_it_and_the_engine(ends: list[EngineError | None]) -> None:
    layer = LayerDouble([SOMETHING], ends, seconds_each=0 if ends[0] else 5)
    stop = Impatient(lambda _: stop.set())
    error = _refused(layer, InterruptedOperationError, stop)
    assert error.code == "interrupted"
    assert layer.done[-1] == "interrupt"


def test_what_exists_only_in_pulumi_is_not_counted() -> None:
    provider = Change(op=Op.CREATE, type="pulumi:providers:gcp", urn="urn:pulumi:x::y::pulumi:providers:gcp::google")
    component = _change(Op.CREATE, "backup", "postgres-dr:infrastructure:BackupStore")
    assert summary(Changes(stack="platform", items=(provider, component))) == "writes down what is there"
    assert summary(Changes(stack="platform", items=(component, _change(Op.CREATE)))) == "creates 1 (network)"
