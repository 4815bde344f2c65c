"""The copy from pod to pod: what it runs, what it tells nobody, and what becomes of half a dump."""

import os
import subprocess
from pathlib import Path
from threading import Event
from unittest.mock import MagicMock

import pytest

from dr.core.errors import AccessError
from dr.extract.limits import Room
from dr.extract.table_copy import _COPY, _ROOM, TableReceiver, run_script
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
        ["bash", "-c", _COPY, "copy", "host=there", "postgres_dr_1", "dbname=here", "", "", "", ""],
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
    assert (received[1], received[-1]) == ("BEGIN READ WRITE;", "COMMIT;")
    assert "--schema=postgres_dr_1" in received[2]
    sections = [word for line in received for word in line.split() if word.startswith("--section")]
    assert sections == ["--section=pre-data", "--section=data", "--section=post-data"]
    assert (tmp_path / "known").read_text() == f"{PASSWORD}\n"
    assert PASSWORD not in (tmp_path / "psql-environment").read_text()


def test_half_a_dump_is_never_committed(tmp_path: Path) -> None:
    done = _copied(tmp_path, "echo 'COPY users FROM stdin;'; exit 1")
    assert done.returncode != 0
    assert (tmp_path / "received").read_text() == "\nBEGIN READ WRITE;\nCOPY users FROM stdin;\n"


@pytest.mark.parametrize(
    ("answer", "activity"),
    [
        ("", None),
        ("12000|COPY users", "12,000 rows"),
        ("|CREATE INDEX users_lower ON", "CREATE INDEX users_lower ON"),
        ("|BEGIN;", "waiting for the first rows"),
    ],
)
def test_what_a_copy_does_is_told_by_the_database(
    receiver: TableReceiver, monkeypatch: pytest.MonkeyPatch, answer: str, activity: str | None
) -> None:
    in_pods(monkeypatch, lambda _: said(answer))
    assert receiver.activity() == activity


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


def test_there_is_room_for_the_data_for_tablespaces_and_for_the_wal(
    receiver: TableReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E24. The volume of the WAL was not asked."""
    ran = in_pods(monkeypatch, lambda ran: said("77|fast\n" if "psql" in ran.command else "1 4096\n2 512\n3 1024\n"))
    rooms = receiver.rooms(["fast"])
    assert ran[-1].command[4:] == [".", "pg_wal", "pg_tblspc/77"]
    assert rooms.data == {"": Room(device="1", free=4096), "fast": Room(device="3", free=1024)}
    assert rooms.wal == Room(device="2", free=512)


def test_room_that_cannot_be_told_is_not_taken_for_none(
    receiver: TableReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_pods(monkeypatch, lambda _: said(code=1, errors="stat: cannot stat"))
    monkeypatch.setattr(receiver, "psql", MagicMock(ask=lambda _: []))
    with pytest.raises(AccessError) as failed:
        receiver.rooms([])
    assert failed.value.code == "room-unknown"


def test_room_is_seen_in_a_folder_of_postgresql(tmp_path: Path) -> None:
    """E24. By the programs of the machine, as in the pod."""
    for name in ("pg_wal", "pg_tblspc/77"):
        (tmp_path / name).mkdir(parents=True)
    words = ["sh", "-c", _ROOM, "room", ".", "pg_wal", "pg_tblspc/77"]
    done = subprocess.run(
        words, env={**os.environ, "PGDATA": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    device = str(tmp_path.stat().st_dev)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [device] * 3
    assert all(int(line.split()[1]) > 0 for line in done.stdout.splitlines())
