"""What is remembered of a rebuild, where there is no cluster."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import NotFound, PreconditionFailed
from google.cloud import storage

from dr.core.errors import AccessError
from dr.rebuild.store import RebuildLease, RebuildRecords, open_text_store
from tests.support.builders import NOW, an_entry, an_environment

LEASE_SECONDS = timedelta(seconds=15)


@dataclass
class Objects:
    """The objects of a bucket, with their generations."""

    kept: dict[str, tuple[str, int]] = field(default_factory=dict)

    def client(self) -> Any:
        return self

    def bucket(self, _: str) -> Any:
        return self

    def blob(self, name: str) -> Any:
        return Blob(self.kept, name)


class Blob:
    """One object, as the storage library's."""

    def __init__(self, kept: dict[str, tuple[str, int]], name: str) -> None:
        self._kept, self._name, self.generation = kept, name, 0

    def reload(self, **_: object) -> None:
        if self._name not in self._kept:
            raise NotFound("no such object")  # type: ignore[no-untyped-call]
        self.generation = self._kept[self._name][1]

    def download_as_text(self, **_: object) -> str:
        return self._kept[self._name][0]

    def upload_from_string(self, text: str, *, if_generation_match: int, **_: object) -> None:
        now = self._kept.get(self._name, ("", 0))[1]
        if if_generation_match != now:
            raise PreconditionFailed("it is another")  # type: ignore[no-untyped-call]
        self._kept[self._name] = (text, now + 1)


@pytest.fixture(params=["folder", "bucket"])
def backend(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A place for state, of either kind."""
    if request.param == "bucket":
        monkeypatch.setattr(storage, "Client", Objects().client)
        yield "gs://state/prefix"
    else:
        yield f"file://{tmp_path}/state"


def test_a_text_is_replaced_only_where_nobody_was_quicker(backend: str) -> None:
    text = open_text_store(backend, "note.json")
    assert text.read() is None
    assert text.write("one", over=None)
    assert not text.write("two", over=None)
    found = text.read()
    assert found is not None
    assert found[0] == "one"
    assert text.write("two", over=found[1])
    assert not text.write("three", over=found[1])


def test_a_bucket_without_a_prefix_is_its_root(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_text_store("gs://state", "note.json").where == "gs://state/note.json"
    assert open_text_store("gs://state/a/b/", "note.json").where == "gs://state/a/b/note.json"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AccessError) as refused:
        open_text_store(f"file://{tmp_path}/file", "note.json").write("one", over=None)
    assert refused.value.code == "journal-unusable"


def test_operations_are_remembered(backend: str) -> None:
    records = RebuildRecords(backend, "prod", user="ann@ops-1")
    assert records.read() is None
    records.change(lambda record: record.with_operation(an_entry()), now=NOW)
    found = RebuildRecords(backend, "prod", user="bob@ops-2").read()
    assert found is not None
    assert found.operations == (an_entry(),)
    assert (found.updated, found.updated_by) == (NOW, "ann@ops-1")
    assert found.unfinished == an_entry()


def test_environments_do_not_share_a_record(backend: str) -> None:
    RebuildRecords(backend, "prod", user="ann").change(lambda record: record, now=NOW)
    assert RebuildRecords(backend, "dev", user="ann").read() is None


def test_a_record_that_another_run_changes_meanwhile_is_not_overwritten(backend: str) -> None:
    records = RebuildRecords(backend, "prod", user="ann")

    def meanwhile(record: Any) -> Any:
        RebuildRecords(backend, "prod", user="bob").change(lambda theirs: theirs, now=NOW)
        return record

    with pytest.raises(AccessError) as refused:
        records.change(meanwhile, now=NOW)
    assert refused.value.code == "journal-changed"


def test_a_record_that_is_not_understood_is_not_taken_for_none(backend: str) -> None:
    open_text_store(backend, "postgres-dr-prod.rebuild.json").write("{}", over=None)
    with pytest.raises(AccessError) as refused:
        RebuildRecords(backend, "prod", user="ann").read()
    assert refused.value.code == "record-unreadable"


def test_a_lease_is_held_renewed_and_given_back(backend: str) -> None:
    lease = RebuildLease(backend, an_environment().commands)
    assert lease.read() is None
    assert lease.write("ann@ops-1:7", NOW, LEASE_SECONDS, over=None)
    seen = lease.read()
    assert seen is not None
    assert (seen.holder, seen.acquired, seen.renewed, seen.duration) == ("ann@ops-1:7", NOW, NOW, LEASE_SECONDS)
    later = NOW + timedelta(seconds=5)
    assert lease.write("ann@ops-1:7", later, LEASE_SECONDS, over=seen)
    again = lease.read()
    assert again is not None
    assert (again.acquired, again.renewed) == (NOW, later)
    assert not lease.write("bob@ops-2:8", later, LEASE_SECONDS, over=seen)
    assert lease.write("", later, LEASE_SECONDS, over=again)


def test_a_lease_that_is_not_understood_is_held_by_nobody(backend: str) -> None:
    open_text_store(backend, "postgres-dr-prod.rebuild-lease.json").write("?", over=None)
    seen = RebuildLease(backend, an_environment().commands).read()
    assert seen is not None
    assert (seen.holder, seen.expired(NOW)) == ("", True)
