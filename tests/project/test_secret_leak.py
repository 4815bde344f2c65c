"""The search for planted secrets finds what is there."""

import base64
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.secret_leak import PlantedSecrets
from tests.support.waiting import wait_for

_FOR_LONG = "import time; time.sleep(3600)"
SECRET = "correct-horse-battery"
PLANTED = PlantedSecrets({"passphrase": SECRET})


@contextmanager
def _sleeping(word: str) -> Iterator[None]:
    """A program that has ``word`` in its command line, and does nothing."""
    with subprocess.Popen([sys.executable, "-ISc", _FOR_LONG, word]) as process:
        try:
            yield
        finally:
            process.kill()


def test_a_secret_in_a_file_is_found_plain_and_encoded(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "plain").write_text(f"x {SECRET} y")
    (tmp_path / "encoded").write_bytes(b"\xff" + base64.b64encode(SECRET.encode()))
    (tmp_path / "clean").write_text("nothing")
    assert PLANTED.below(tmp_path) == {
        str(tmp_path / "deep" / "plain"): {"passphrase"},
        str(tmp_path / "encoded"): {"passphrase"},
    }


def test_a_secret_in_a_command_line_is_found() -> None:
    with PLANTED.watched() as seen, _sleeping("nothing"), _sleeping(SECRET):
        wait_for(lambda: seen)
    ((line, found),) = seen.items()
    assert SECRET in line
    assert found == {"passphrase"}
