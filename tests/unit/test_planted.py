"""The search for planted secrets finds what is there."""

import base64
import subprocess
import sys
from pathlib import Path

from tests.e2e.planted import Planted

SECRET = "correct-horse-battery"
PLANTED = Planted({"passphrase": SECRET})


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
    with PLANTED.watched() as seen:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.5)", SECRET], check=True)
    assert set.union(*seen.values()) == {"passphrase"}
    with PLANTED.watched() as seen:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.2)"], check=True)
    assert seen == {}
