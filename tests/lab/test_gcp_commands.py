"""The double of the command provider runs what it is told, here."""

from pathlib import Path

import pytest

from lab.gcp.commands import CommandFailedError, run


def test_it_runs_by_a_shell_and_keeps_what_was_printed(tmp_path: Path) -> None:
    said = run(
        {
            "create": "echo $WHO; pwd; cat; echo late >&2",
            "dir": str(tmp_path),
            "environment": {"WHO": "dr"},
            "stdin": "in",
        },
        "create",
    )
    assert said == {"stdout": f"dr\n{tmp_path}\nin", "stderr": "late"}


def test_what_was_not_said_is_not_run() -> None:
    assert run({"create": "exit 1"}, "delete") == {"stdout": "", "stderr": ""}


def test_a_failure_quotes_the_command_and_what_it_said() -> None:
    with pytest.raises(CommandFailedError, match=r"exit status 3: running 'echo no >&2; exit 3':\nno"):
        run({"create": "echo no >&2; exit 3"}, "create")


def test_another_interpreter_is_used() -> None:
    assert run({"update": "print(6 * 7)", "interpreter": ["python3", "-c"]}, "update")["stdout"] == "42"
