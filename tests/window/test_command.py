"""``dr window``: what it prints, with a cluster that answers and without one."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dr.cli import console as rendering
from dr.main import run
from dr.window import observe as window
from dr.window import view
from tests.support.archives import SYSTEM, archive, at, backup, put_backup, put_history, put_wal, switch, wal
from tests.support.builders import BUCKET, cluster_object
from tests.support.doubles import ObjectStoreDouble, Wire, closed_port, serving, write_environment, write_kubeconfig
from tests.support.s3 import put_all, s3_bucket
from tests.support.waiting import HANG_SECONDS

SERVICE = "/api/v1/namespaces/data/services/prod-postgres"
CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
OLD, NEW = "postgres-prod", "postgres-prod-recovered"


@pytest.fixture
def store(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStoreDouble]:
    """Two generations: the first with a hole and a failed base backup, the second on timeline 2."""
    for limit in ("_CLUSTER_SECONDS", "_COMMIT_SECONDS"):
        monkeypatch.setattr(window, limit, HANG_SECONDS)
    with serving(ObjectStoreDouble(bucket=BUCKET)) as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        for number in (3, 14):
            put_backup(store, OLD, backup(number))
        put_backup(store, OLD, backup(18), status="FAILED", error="the disk is full", end_time=None)
        put_wal(store, OLD, wal([*range(1, 8), *range(11, 21)]), suffix=".gz")
        put_backup(store, NEW, backup(22, timeline=2))
        put_wal(store, NEW, wal(range(21, 26), timeline=2))
        put_history(store, NEW, 2, [switch(1, 20.5)])
        yield store


@pytest.fixture
def place(tmp_path: Path, wire: Wire, store: ObjectStoreDouble) -> Path:
    """A cluster in which the Service points to the recovered Cluster."""
    _configure(tmp_path, wire.url)
    host = f"{NEW}-rw.data.svc.cluster.local"
    wire.on(SERVICE, {"metadata": {}, "spec": {"externalName": host}})
    wire.on(f"{CLUSTERS}/{NEW}", cluster_object(NEW))
    return tmp_path


def _configure(folder: Path, server: str) -> None:
    write_environment(folder, write_kubeconfig(folder / "config", {"acme-prod": server}))


def _run(place: Path, *arguments: str) -> int:
    return run(["window", "--env", "prod", "--config-dir", str(place), *arguments])


def _json(capsys: pytest.CaptureFixture[str], place: Path, *arguments: str) -> Any:
    assert _run(place, "--json", *arguments) == 0
    return json.loads(capsys.readouterr().out)


def test_both_ends_of_each_window_are_given_as_values(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # WHEN
    told = _json(capsys, place)
    # THEN the first generation has two windows with a hole in between
    old, new = told["archives"]
    assert (old["serverName"], new["serverName"]) == (OLD, NEW)
    first, second = old["windows"]
    assert first["from"] == {"time": at(30).isoformat(), "lsn": "0/3000138", "backup": "backup-3"}
    assert first["to"] == {
        "segment": "000000010000000000000007",
        "lsn": "0/8000000",
        "archivedAt": at(70).isoformat(),
        "lastCommit": None,
    }
    assert (second["from"]["backup"], second["to"]["archivedAt"]) == ("backup-14", at(200).isoformat())
    (hole,) = old["holes"]
    assert (hole["first"], hole["last"], hole["segments"]) == (
        "000000010000000000000008",
        "00000001000000000000000A",
        3,
    )
    assert (hole["needed"], hole["resumesWith"]) == (True, "backup-14")
    # AND the failed backup does not count
    assert [one["id"] for one in old["backups"]] == ["backup-3", "backup-14"]
    assert old["incompleteBackups"] == [
        {"id": "backup-18", "why": "FAILED: the disk is full", "begin": at(175).isoformat()}
    ]
    # AND the second tells where it came from
    assert new["timelines"] == [
        {
            "timeline": 2,
            "from": [{"timeline": 1, "lsn": "0/14800000", "reason": "no recovery target specified"}],
            "unreadable": None,
        }
    ]


def test_a_backup_is_given_with_all_its_facts(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = _json(capsys, place, "--server-name", NEW)
    (archive,) = told["archives"]
    assert archive["backups"] == [
        {
            "id": "backup-22",
            "begin": at(215).isoformat(),
            "end": at(220).isoformat(),
            "beginLSN": "0/16000028",
            "endLSN": "0/16000138",
            "beginWAL": "000000020000000000000016",
            "endWAL": "000000020000000000000016",
            "timeline": 2,
            "size": 64 * 2**20,
            "usable": True,
            "systemIdentifier": SYSTEM,
        }
    ]
    assert archive["wal"] == [
        {
            "timeline": 2,
            "first": "000000020000000000000015",
            "last": "000000020000000000000019",
            "segments": 5,
            "firstArchivedAt": at(210).isoformat(),
            "lastArchivedAt": at(250).isoformat(),
        }
    ]


def test_the_archive_of_the_serving_cluster_is_marked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = _json(capsys, place)
    assert (told["serving"], told["clusterNotAsked"]) == (NEW, None)
    assert [one["serving"] for one in told["archives"]] == [False, True]


def test_a_cluster_that_serves_under_another_server_name_is_found(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    store = {"destinationPath": f"gs://{BUCKET}/prod", "serverName": OLD}
    wire.on(f"{CLUSTERS}/{NEW}", cluster_object(NEW, backup={"barmanObjectStore": store}))
    assert _json(capsys, place)["serving"] == OLD


def test_a_cluster_that_is_gone_costs_one_line(
    tmp_path: Path, store: ObjectStoreDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    # GIVEN nobody at the API server's address
    _configure(tmp_path, closed_port())
    # WHEN
    assert _run(tmp_path) == 0
    # THEN
    told = capsys.readouterr().out.splitlines()
    assert len([line for line in told if line.startswith("! Which archive serves is not known: ")]) == 1
    assert "serves the traffic" not in "\n".join(told)
    assert any("Recoverable on timeline 1" in line for line in told)


def test_without_a_kubeconfig_the_windows_are_still_told(
    tmp_path: Path, store: ObjectStoreDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    write_environment(tmp_path, tmp_path / "nowhere")
    told = _json(capsys, tmp_path)
    assert told["serving"] is None
    assert "kubeconfig" in told["clusterNotAsked"]
    assert len(told["archives"]) == 2


def test_a_service_that_is_gone_is_told_as_such(
    tmp_path: Path, wire: Wire, store: ObjectStoreDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    _configure(tmp_path, wire.url)
    assert "prod-postgres" in _json(capsys, tmp_path)["clusterNotAsked"]


def test_an_api_server_that_is_silent_is_not_waited_for(
    tmp_path: Path, store: ObjectStoreDouble, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # GIVEN an API server that takes connections and says nothing
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        _configure(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}")
        # WHEN it is asked, and would be for half a minute and more
        monkeypatch.setattr(window, "_CLUSTER_SECONDS", 1.0)
        told = _json(capsys, tmp_path)
    # THEN
    assert "did not answer within 1 s" in told["clusterNotAsked"]


def test_another_context_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(place, "--context", "other") == 2


def test_a_server_name_that_is_not_there_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(place, "--server-name", "nobody") == 5
    assert f"{OLD}, {NEW}" in capsys.readouterr().err


def test_an_empty_place_is_an_error(place: Path, store: ObjectStoreDouble, capsys: pytest.CaptureFixture[str]) -> None:
    store.objects.clear()
    assert _run(place) == 5
    assert f"gs://{BUCKET}/prod" in capsys.readouterr().err


def test_nothing_is_changed(place: Path, wire: Wire, store: ObjectStoreDouble) -> None:
    assert _run(place) == 0
    assert {asked.method for asked in [*wire.asked, *store.asked]} == {"GET"}


@pytest.mark.parametrize("width", [80, 40])
def test_a_narrow_terminal_without_colour_is_enough(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    # GIVEN a terminal
    console = Console(width=width, no_color=True, highlight=False)
    monkeypatch.setattr(view, "out", console)
    monkeypatch.setattr(rendering, "out", console)
    # WHEN
    assert _run(place) == 0
    told = capsys.readouterr().out
    # THEN there is no colour, every fact of a table is whole, and the picture fits
    assert "\x1b" not in told
    for fact in ("2026-04-20 00:30:00 UTC", "2026-04-20 03:20:00 UTC", "000000010000000000000014"):
        assert fact in told
    assert "backup-14" in told
    assert f"{NEW}, serves the traffic" in " ".join(told.split())
    drawn = [line for line in told.splitlines() if line.lstrip().startswith("timeline ")]
    assert len(drawn) == 2
    assert all(len(line) <= width for line in drawn)
    assert "!" in drawn[0]


def test_the_meaning_of_a_hole_and_of_a_failed_backup_is_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(place, "--server-name", OLD) == 0
    told = capsys.readouterr().out
    assert "Hole: 3 WAL segments, 000000010000000000000008 to 00000001000000000000000A, are missing in" in told
    assert "no target from 2026-04-20 01:10:00 UTC until base backup backup-14 ended, 2026-04-20 02:20:00 UTC" in told
    assert "Base backup backup-18 does not count: FAILED: the disk is full" in told
    assert "later than the last commit in it fails" in " ".join(told.split())


def test_wal_that_barman_cannot_read_is_named(
    place: Path, store: ObjectStoreDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = "000000010000000000000008.gpg"
    store.objects[f"prod/{OLD}/wals/0000000100000000/{strange}"] = b"secret"
    assert _run(place, "--server-name", OLD) == 0
    assert f"1 object next to the WAL that barman cannot read, such as {strange}" in capsys.readouterr().out
    (archive,) = _json(capsys, place, "--server-name", OLD)["archives"]
    assert archive["unknownObjects"] == [strange]


def test_where_nothing_can_be_recovered_that_is_said(
    place: Path, store: ObjectStoreDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    store.objects.clear()
    put_wal(store, OLD, wal(range(1, 5)))
    assert _run(place) == 0
    told = capsys.readouterr().out
    assert "Nothing can be recovered: there is no completed base backup" in told
    assert "WAL, 4 segments" in told


def test_an_archive_without_times_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    from dr.window.report import WindowReport

    found = archive(backup(3), files=dict.fromkeys(wal(range(1, 6))))
    view.show_window(
        WindowReport(
            environment="prod", place="gs://x/y", seen_at=at(0), archives=(found,), serving=None, silence="gone"
        )
    )
    assert "not known" in capsys.readouterr().out


def test_a_window_in_s3_is_told_as_one_in_cloud_storage(
    place: Path, store: ObjectStoreDouble, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same objects, but for the times of those: S3 itself gives these."""
    with s3_bucket(monkeypatch) as client:
        put_all(client, store)
        write_environment(place, place / "config", backup={"destinationPath": f"s3://{BUCKET}/prod"})
        assert not store.received("GET")
        told = _json(capsys, place)
    assert not store.received("GET")
    assert told["place"] == f"s3://{BUCKET}/prod"
    old, new = told["archives"]
    assert (old["serverName"], new["serverName"], told["serving"]) == (OLD, NEW, NEW)
    assert [window["from"]["backup"] for window in old["windows"]] == ["backup-3", "backup-14"]
    assert old["windows"][0]["to"]["segment"] == "000000010000000000000007"
