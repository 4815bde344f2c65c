"""Steps run in the order of their needs, side by side where they can, and a failure says what, why and where."""

from __future__ import annotations

import io
import json
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from lab.errors import LabError
from lab.steps import Runner, Step, Task, pretty
from tests.support.waiting import HANG_SECONDS


def runner(tmp_path: Path) -> tuple[Runner, io.StringIO]:
    text = io.StringIO()
    return Runner(Console(file=text, width=200), tmp_path / "logs", tmp_path / "cache" / "durations.json"), text


def test_needs_come_first_and_the_rest_side_by_side(tmp_path: Path) -> None:
    together = threading.Barrier(2, timeout=HANG_SECONDS)
    order: list[str] = []

    def side(name: str) -> Step:
        def act(_task: Task) -> None:
            together.wait()  # breaks unless both run at once
            order.append(name)

        return Step(name, name, 1, act)

    last = Step("last", "last", 1, lambda _: order.append("last"), ("left", "right"))
    runner(tmp_path)[0].run([last, side("left"), side("right")])
    assert order[-1] == "last"
    assert set(order) == {"left", "right", "last"}


def test_failure_stops_what_runs_and_what_follows(tmp_path: Path) -> None:
    ran: list[str] = []

    def fail(task: Task) -> None:
        task.log.parent.mkdir(parents=True)
        task.log.write_text("the story")
        raise LabError("failing", "because", "do not")

    def long(task: Task) -> None:
        assert task.cancelled.wait(HANG_SECONDS)
        ran.append("cancelled")

    steps = [
        Step("fail", "fail", 1, fail),
        Step("long", "long", 1, long),
        Step("after", "after", 1, lambda _: ran.append("after"), ("fail",)),
    ]
    run, text = runner(tmp_path)
    with pytest.raises(LabError, match="failing") as caught:
        run.run(steps)
    assert caught.value.log == tmp_path / "logs" / "step-fail.log"
    assert ran == ["cancelled"]
    assert "failed fail" in text.getvalue()


def test_unexpected_error_becomes_one_of_ours(tmp_path: Path) -> None:
    def act(_task: Task) -> None:
        raise KeyError("surprise")

    with pytest.raises(LabError) as caught:
        runner(tmp_path)[0].run([Step("odd", "do something odd", 1, act)])
    assert caught.value.what == "do something odd"
    assert "KeyError" in caught.value.why


def test_durations_are_learned_from_work_and_not_from_its_absence(tmp_path: Path) -> None:
    durations = tmp_path / "cache" / "durations.json"
    durations.parent.mkdir()
    durations.write_text(json.dumps({"built": 540.0}))
    run, _ = runner(tmp_path)
    run.run([Step("built", "b", 1, lambda _: "already built"), Step("made", "m", 99, lambda _: time.sleep(0.11))])
    learned = json.loads(durations.read_text())
    assert learned["built"] == 540.0
    assert 0.1 <= learned["made"] != 99, "what it took, and not what it was thought to take"


def test_damaged_durations_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "durations.json").write_text("[")
    runner(tmp_path)[0].run([Step("one", "one", 1, lambda _: None)])
    assert "one" in json.loads((tmp_path / "cache" / "durations.json").read_text())


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (60, "1 min 0 s"), (569.6, "9 min 30 s")]
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert pretty(seconds) == text
