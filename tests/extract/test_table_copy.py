"""The copy from pod to pod: what it runs, what it tells nobody, and what becomes of half a dump."""

import os
import subprocess
from pathlib import Path
from threading import Event

import pytest

from dr.core.errors import AccessError
from dr.extract.table_copy import _COPY, TableReceiver, run_script
from dr.kube.api import KubernetesApi
from tests.support.builders import a_source
from tests.support.doubles import in_pods, said

PASSWORD = "a secret of the scratch cluster"


@pytest.fixture
def receiver(api: KubernetesApi) -> TableReceiver:
    return TableReceiver(api, a_source(), name="postgres_dr_1")


def test_the_password_goes_by_standard_input_only(receiver: TableReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = in_pods(monkeypatch, lambda _: said())
    receiver.copy("postgres_dr_1", source=a_source(), database="shop", password=PASSWORD, stop=Event())
    assert ran[0].pod == "postgres-prod-1"
    assert ran[0].standard_input == f"{PASSWORD}\n"
    assert PASSWORD not in " ".join(ran[0].command)
    assert "sslmode='require'" in " ".join(ran[0].command)


def _programs(folder: Path, dump: str) -> dict[str, str]:
    """A ``pg_dump`` that runs ``dump``, and a ``psql`` that writes down what it is given."""
    for name, script in (("pg_dump", dump), ("psql", f"cat > {folder}/received; env > {folder}/psql-environment")):
        path = folder / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def _copied(folder: Path, dump: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", _COPY, "copy", "host=there", "postgres_dr_1", "dbname=here"],
        env=_programs(folder, dump),
        input=f"{PASSWORD}\n",
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_whole_dump_is_committed_and_only_pg_dump_knows_the_password(tmp_path: Path) -> None:
    done = _copied(tmp_path, f'echo "-- $*"; echo "$PGPASSWORD" > {tmp_path}/known')
    assert done.returncode == 0
    received = (tmp_path / "received").read_text().splitlines()
    assert (received[0], received[-1]) == ("BEGIN;", "COMMIT;")
    assert "--schema=postgres_dr_1" in received[1]
    assert (tmp_path / "known").read_text() == f"{PASSWORD}\n"
    assert PASSWORD not in (tmp_path / "psql-environment").read_text()


def test_half_a_dump_is_never_committed(tmp_path: Path) -> None:
    done = _copied(tmp_path, "echo 'COPY users FROM stdin;'; exit 1")
    assert done.returncode != 0
    assert (tmp_path / "received").read_text() == "BEGIN;\nCOPY users FROM stdin;\n"


@pytest.mark.parametrize(
    ("answer", "doing"),
    [
        ("", None),
        ("12000|COPY users", "12,000 rows"),
        ("|CREATE INDEX users_lower ON", "CREATE INDEX users_lower ON"),
        ("|BEGIN;", "waiting for the first rows"),
    ],
)
def test_what_a_copy_does_is_told_by_the_database(
    receiver: TableReceiver, monkeypatch: pytest.MonkeyPatch, answer: str, doing: str | None
) -> None:
    in_pods(monkeypatch, lambda _: said(answer))
    assert receiver.doing() == doing


def test_a_script_ends_by_itself_and_gives_its_warnings_or_its_error(
    api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = in_pods(monkeypatch, lambda _: said(errors="WARNING: something"))
    assert run_script(api, a_source(), "shop", "SELECT 1;\n", limit=1) == "WARNING: something"
    # Standard input of an exec cannot be closed; without its own end the script would wait for ever.
    assert ran[0].standard_input == "SELECT 1;\n\\q\n"
    in_pods(monkeypatch, lambda _: said(code=3, errors="ERROR:  canceling statement due to lock timeout"))
    with pytest.raises(AccessError) as failed:
        run_script(api, a_source(), "shop", "SELECT 1;\n", limit=1)
    assert failed.value.code == "sql-failed"
    assert "lock timeout" in failed.value.cause


def test_the_room_is_that_of_the_data(receiver: TableReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    in_pods(monkeypatch, lambda _: said("  4096\n"))
    assert receiver.free_bytes() == 4096
