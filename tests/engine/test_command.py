"""Running the ``pulumi`` double: its output, its failure, and stopping it without hurting ourselves."""

import os
import select
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from pulumi.automation.errors import CommandError
from semver import Version

from dr.engine.command import Installation, InterruptibleCommand
from tests.support.doubles import calls_of, write_pulumi
from tests.support.waiting import HANG_SECONDS

# os.write: a signal can come before `print` has come back, whose own `print` would then be refused as reentrant.
WAITS = "os.write(1, b'ready\\n')\nsignal.pause()\n"
OBEYS = "signal.signal(signal.SIGINT, lambda *_: (print('state written', flush=True), sys.exit(8)))\n" + WAITS
IGNORES = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + WAITS
STARTS_A_PLUGIN = """
subprocess.Popen(["sleep", "600"], process_group=0, stdout=open({held!r}, "wb"), stderr=subprocess.DEVNULL)
"""


def _command(program: Path) -> InterruptibleCommand:
    return InterruptibleCommand(Installation(program=str(program), version=Version(3, 250, 0)))


def _run(
    command: InterruptibleCommand, tmp_path: Path, when_ready: Callable[[], None] = lambda: None
) -> tuple[list[str], CommandError | None]:
    """What the program printed, and how it failed; ``when_ready`` is called once it has said that it is ready."""
    lines: list[str] = []

    def on_output(line: str) -> None:
        lines.append(line)
        if line == "ready":
            when_ready()

    try:
        command.run(["up"], str(tmp_path), {}, on_output)
    except CommandError as error:
        return lines, error
    return lines, None


def test_output_and_errors_are_collected_and_handed_on(tmp_path: Path) -> None:
    program = write_pulumi(tmp_path, "print('one')\nprint('two')\nprint('hmm', file=sys.stderr)\n")
    said: list[str] = []
    result = _command(program).run(["up", "--yes"], str(tmp_path), {}, said.append, said.append)
    assert (result.code, result.stdout, result.stderr) == (0, "one\ntwo", "hmm")
    assert sorted(said) == ["hmm", "one", "two"]


def test_the_program_gets_its_arguments_and_variables(tmp_path: Path) -> None:
    program = write_pulumi(tmp_path)
    _command(program).run(["up", "--yes"], str(tmp_path), {"PULUMI_BACKEND_URL": "file:///x"})
    (call,) = calls_of(program)
    assert call["arguments"] == ["up", "--yes"]
    assert call["variables"]["PULUMI_BACKEND_URL"] == "file:///x"
    assert call["variables"]["PATH"] == os.environ["PATH"]


def test_more_output_than_a_pipe_holds_is_read_to_the_end(tmp_path: Path) -> None:
    program = write_pulumi(tmp_path, "for n in range(20000):\n    print('line', n)\n    print(n, file=sys.stderr)\n")
    result = _command(program).run(["up"], str(tmp_path), {})
    assert result.stdout.splitlines()[-1] == "line 19999"
    assert result.stderr.splitlines()[-1] == "19999"


def test_a_failure_is_raised_and_what_was_printed_is_kept(tmp_path: Path) -> None:
    command = _command(write_pulumi(tmp_path, "print('went wrong', file=sys.stderr)\nsys.exit(4)\n"))
    with pytest.raises(CommandError):
        command.run(["up"], str(tmp_path), {})
    assert command.last is not None
    assert (command.last.code, command.last.stderr) == (4, "went wrong")


def test_an_interrupt_lets_the_program_end_in_good_order(tmp_path: Path) -> None:
    command = _command(write_pulumi(tmp_path, OBEYS))
    lines, error = _run(command, tmp_path, command.interrupt)
    assert lines == ["ready", "state written"]
    assert error is not None
    assert command.last is not None
    assert command.last.code == 8


def test_an_interrupt_reaches_the_program_and_not_us(tmp_path: Path, own_signals: None) -> None:
    caught: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        caught.append(number)

    signal.signal(signal.SIGINT, handle)
    command = _command(write_pulumi(tmp_path, OBEYS))
    lines, _ = _run(command, tmp_path, command.interrupt)
    assert lines == ["ready", "state written"]
    assert caught == []


def test_an_interrupt_leaves_the_plugins_to_the_program(tmp_path: Path) -> None:
    # GIVEN a program that ends by itself only after its plugin, in the same group, has answered once more
    code = """
plugin = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def end(*_):
    print(plugin.communicate(b"answer")[0].decode(), flush=True)
    sys.exit(8)
signal.signal(signal.SIGINT, end)
"""
    command = _command(write_pulumi(tmp_path, code + WAITS))
    # WHEN
    lines, _ = _run(command, tmp_path, command.interrupt)
    # THEN
    assert lines == ["ready", "answer"]


def test_ctrl_c_in_the_terminal_does_not_reach_the_program(tmp_path: Path) -> None:
    command = _command(write_pulumi(tmp_path, "print(os.getpgrp(), os.getsid(0))\n"))
    lines, _ = _run(command, tmp_path)
    group, session = map(int, lines[0].split())
    assert group != os.getpgrp()
    assert session != os.getsid(0)


def test_an_interrupt_before_the_program_runs_stops_it_when_it_does(tmp_path: Path) -> None:
    command = _command(write_pulumi(tmp_path, WAITS))
    command.interrupt()
    _, error = _run(command, tmp_path)
    assert error is not None


def test_killing_ends_a_program_that_ignores_interrupts(tmp_path: Path) -> None:
    command = _command(write_pulumi(tmp_path, IGNORES))

    def stop() -> None:
        command.interrupt()
        command.kill()

    _, error = _run(command, tmp_path, stop)
    assert error is not None
    assert command.last is not None
    assert command.last.code == -signal.SIGKILL


def test_killing_ends_the_plugins_too(tmp_path: Path) -> None:
    # GIVEN a plugin in a process group of its own, as the engine starts them, that holds a FIFO open
    held = tmp_path / "held"
    os.mkfifo(held)
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    command = _command(write_pulumi(tmp_path / "bin", STARTS_A_PLUGIN.format(held=str(held)) + IGNORES))
    # WHEN
    _run(command, tmp_path, command.kill)
    # THEN nobody holds it any more
    try:
        readable, _, _ = select.select([reader], [], [], HANG_SECONDS)
        assert readable == [reader]
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)


def test_stopping_what_does_not_run_is_harmless(tmp_path: Path) -> None:
    command = _command(write_pulumi(tmp_path))
    command.kill()
    command.run(["up"], str(tmp_path), {})
    command.interrupt()
    command.kill()
