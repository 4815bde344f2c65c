"""A WAL segment in the bucket that cannot be replayed, by way of the command line (E1), and an archive without any WAL
(O6).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from dr.main import run
from tests.support.archives import SEGMENT, first_page, path_of, put_backup, put_wal
from tests.support.archives import backup as archived_backup
from tests.support.builders import BUCKET
from tests.support.doubles import ObjectStoreDouble, Wire, nothing_changed

LAST = "000000010000000000000004"
CUT = f"WAL segment {LAST} cannot be replayed: its object has 8,388,608 bytes, and a segment has 16,777,216"
OVERRIDE = "target-outside=postgres-prod-recovered"


def _dr(command: str, place: Path, *more: str) -> int:
    return run([command, "--config-dir", str(place), "--env", "prod", *more])


def _told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def base_only(bucket: ObjectStoreDouble) -> ObjectStoreDouble:
    """The bucket with a base backup whose WAL is segment 3, and segments 3 to 6."""
    bucket.objects.clear()
    put_backup(bucket, "postgres-prod", archived_backup(3))
    put_wal(bucket, "postgres-prod", {f"{LAST[:-1]}{number}": None for number in range(3, 7)})
    return bucket


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"sizes": {path_of("postgres-prod", LAST): SEGMENT // 2}}, CUT),
        ({"objects": {path_of("postgres-prod", LAST): first_page(LAST, sysid=7)}}, "it is of another database"),
    ],
    ids=["by its size", "by its first page"],
)
def test_all_that_was_committed_is_refused_with_the_segment(
    place: Path, wire: Wire, base_only: ObjectStoreDouble, capsys: pytest.CaptureFixture[str], damage: Any, told: str
) -> None:
    for kind, values in damage.items():
        getattr(base_only, kind).update(values)
    assert _dr("latest", place, "--dry-run", "--json") == 4
    (problem,) = _told(capsys)["problems"]
    assert (problem["code"], told in problem["cause"]) == ("wal-unreadable", True)
    assert f"--override {OVERRIDE}" in problem["remedy"]
    assert nothing_changed(wire)
    # WHEN that is accepted
    assert _dr("latest", place, "--dry-run", "--json", "--override", OVERRIDE) == 0
    assert any(told in warning for warning in _told(capsys)["plan"]["warnings"])


def test_a_drill_is_refused_as_the_recovery_would_be(
    place: Path, base_only: ObjectStoreDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    base_only.sizes[path_of("postgres-prod", LAST)] = SEGMENT // 2
    assert _dr("drill", place, "--dry-run", "--json") == 4
    (problem,) = _told(capsys)["problems"]
    assert CUT in problem["cause"]
    assert "--override" not in problem["remedy"]


def test_wal_that_may_not_be_read_is_refused_and_a_store_that_fails_is_a_warning(
    place: Path, base_only: ObjectStoreDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    path = f"/download/storage/v1/b/{BUCKET}/o/{path_of('postgres-prod', LAST).replace('/', '%2F')}"
    message = "The Cloud KMS key version is not enabled, current state is: DISABLED"
    base_only.on(path, {"error": {"code": 400, "message": message}}, status=400)
    assert _dr("latest", place, "--dry-run", "--json") == 4
    (problem,) = _told(capsys)["problems"]
    assert (problem["code"], LAST in problem["cause"]) == ("archive-encrypted", True)
    assert "enable the key in Cloud KMS" in problem["remedy"]
    base_only.on(path, {"error": {"code": 503, "message": "later"}}, status=503)
    assert _dr("latest", place, "--dry-run", "--json") == 0
    warnings = _told(capsys)["plan"]["warnings"]
    assert any("Of 4 WAL segments that will be replayed, 1 were not looked into" in warning for warning in warnings)


@pytest.mark.parametrize(
    "command", [["pitr", "--target-lsn", "0/4000139"], ["latest"], ["drill"]], ids=lambda one: one[0]
)
def test_an_archive_without_any_wal_gives_nothing_back(
    place: Path, bucket: ObjectStoreDouble, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    bucket.objects = {path: content for path, content in bucket.objects.items() if "/wals/" not in path}
    assert _dr("window", place) == 0
    assert "Nothing can be recovered" in capsys.readouterr().out
    assert _dr(command[0], place, *command[1:], "--dry-run", "--json") == 4
    assert [problem["code"] for problem in _told(capsys)["problems"]] == ["wal-missing"]


def test_the_window_names_it_and_ends_before_it(
    place: Path, base_only: ObjectStoreDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    base_only.sizes[path_of("postgres-prod", LAST)] = SEGMENT // 2
    assert _dr("window", place) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"Hole: {CUT}; no target from the hole on can be reached" in told
    assert "First pages looked into: 3 of 4" in told
    assert _dr("window", place, "--json") == 0
    (archive,) = _told(capsys)["archives"]
    assert [window["to"]["segment"] for window in archive["windows"]] == [f"{LAST[:-1]}3"]
    assert [one["segment"] for one in archive["unreadable"]] == [LAST]
    assert [one["segment"] for one in archive["holes"][0]["unreadable"]] == [LAST]
    assert (archive["firstPages"]["read"], archive["firstPages"]["of"]) == (3, 4)


def test_the_window_says_that_there_are_two_databases(
    place: Path, base_only: ObjectStoreDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    base_only.objects[path_of("postgres-prod", f"{LAST[:-1]}6")] = first_page(f"{LAST[:-1]}6", sysid=7)
    assert _dr("window", place) == 0
    told = capsys.readouterr().out
    assert "postgres-prod is an archive of 2 databases" in told
    assert "7 (WAL only)" in told
