"""Finding a drop, from the request to the decision, with a double of the pod's programs."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from threading import Event

import pytest

from dr.archive.wal_lines import read_commit
from dr.before_drop import search
from dr.before_drop import search as archive_search
from dr.before_drop.drops import Drop
from dr.core.errors import AccessError, RefusedError
from dr.core.history import Holder
from dr.core.wal_names import name_of
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import Ran
from dr.postgres.table_name import TableName
from dr.run.session import Session
from tests.support.archives import SEGMENT, put_wal, wal
from tests.support.builders import NOW, a_source, an_environment
from tests.support.doubles import ObjectStoreDouble, RanInPod, closed_port, in_pods, said
from tests.support.pages import CHANGES, COMMIT_1029, COMMIT_1039, COMMITS, DATABASE, PAGE, PAGE_NUMBER, PUBLIC


@dataclass
class _Pod:
    """What the pod's programs answer."""

    schema: int = PUBLIC
    exists: bool = False
    page: bytes = PAGE
    changes: str = CHANGES
    names: str = ""
    status: str = "1032|committed\n"
    archived: list[str] = field(default_factory=list)
    """What is said of WAL that is sent, one piece after the other."""
    sent: list[list[str]] = field(default_factory=list)
    """The names of the segments that were sent in each piece."""

    def answer(self, ran: RanInPod) -> Ran | AccessError:
        script = " ".join(ran.command)
        if ran.command[0] == "bash" and ran.standard_input:
            self.sent.append([line.split()[0].decode() for line in _headers(ran.standard_input)])
            return said(self.archived.pop(0))
        if ran.command[0] == "bash":
            return said(self._scan())
        if "pg_xact_status" in script:
            return said(self.status)
        if "oid::regclass" in script:
            return said(self.names)
        page = f"pg_class|{PAGE_NUMBER}|{self.page.hex()}\n"
        place = f"place|{DATABASE}|1663|1259|00000001000000000000000A\n"
        return said(f"{page}{page}{place}now|{self.schema}|{'t' if self.exists else 'f'}\n")

    def _scan(self) -> str:
        told = "".join(
            (f"P|{number - 1}|{COMMITS[number - 2]}\n" if number > 1 else "") + f"C|{number}|{line}\n"
            for number, line in enumerate(COMMITS, start=1)
        )
        changes = "".join(f"E|{line}\n" for line in self.changes.splitlines())
        told = told if self.changes else ""
        return f"{changes}{told}T|{len(COMMITS)}|{COMMITS[-1]}\nS|000000010000000000000009\n"


def _headers(sent: bytes) -> Iterator[bytes]:
    """The lines between what is sent, each with a name and a size."""
    while sent:
        line, _, sent = sent.partition(b"\n")
        if line != b". 0":
            yield line
            sent = sent[int(line.split()[1]) :]


def _scanned(*commits: str, first: int) -> str:
    told = "".join(f"C|{number}|{line}\n" for number, line in enumerate(commits, start=1))
    return f"{told}T|{len(commits)}|{commits[-1] if commits else ''}\nS|{name_of(1, first, SEGMENT)}\n"


@pytest.fixture
def session(api: KubernetesApi) -> Session:
    holder = Holder(user="ann", host="ops-1", pid=1)
    return Session(environment=an_environment(), api=api, holder=holder, clock=lambda: NOW, stop=Event())


def _find(monkeypatch: pytest.MonkeyPatch, session: Session, pod: _Pod, table: str) -> Drop:
    in_pods(monkeypatch, pod.answer)
    monkeypatch.setattr(search, "find_cluster", lambda *_: a_source())
    return search.find_drop(session, "postgres-prod", TableName.parse(table))


def _refusal(monkeypatch: pytest.MonkeyPatch, session: Session, pod: _Pod, table: str) -> RefusedError:
    with pytest.raises(RefusedError) as refused:
        _find(monkeypatch, session, pod, table)
    return refused.value


def test_the_drop_comes_with_its_target_and_what_is_left_out(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    drop = _find(monkeypatch, session, _Pod(), "probe")
    assert (drop.table, drop.xid, drop.target.lsn, drop.target.exclusive) == ("public.probe", 1029, 0x92D9160, True)
    assert drop.left_out.count == len(COMMITS) - 1
    assert drop.kept is not None
    assert drop.kept.xid == 1028
    assert drop.again is False


def test_a_table_that_was_made_again_is_said(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    assert _find(monkeypatch, session, _Pod(exists=True), "probe").again is True


def test_a_table_that_is_there_was_not_dropped(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    refused = _refusal(monkeypatch, session, _Pod(exists=True), "probe3")
    assert refused.code == "table-exists"


def test_a_renamed_table_is_told_by_its_new_name(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    refused = _refusal(monkeypatch, session, _Pod(names="17491|probe3\n"), "probe2")
    assert (refused.code, "probe3" in refused.cause) == ("table-renamed", True)


def test_a_table_without_trace_is_not_guessed(
    monkeypatch: pytest.MonkeyPatch, session: Session, store: ObjectStoreDouble
) -> None:
    refused = _refusal(monkeypatch, session, _Pod(), "nobody")
    assert refused.code == "drop-uncertain"
    assert refused.remedy.count("--target-lsn") == 2
    put_wal(store, "postgres-prod", wal(range(8, 10)))
    unknown = _refusal(monkeypatch, session, _Pod(changes="", archived=[_scanned(first=8)]), "nobody")
    assert unknown.code == "drop-unknown"
    assert "from 000000010000000000000008 on; the segment before it, 000000010000000000000007" in unknown.cause


def test_what_was_dropped_in_the_archived_wal_is_offered_where_the_server_has_no_drop(
    monkeypatch: pytest.MonkeyPatch, session: Session, store: ObjectStoreDouble
) -> None:
    put_wal(store, "postgres-prod", wal(range(2, 10)))
    deleted = next(line for line in CHANGES.splitlines() if "1039" in line)
    pod = _Pod(changes="", archived=[f"E|{deleted}\n{_scanned(COMMIT_1039, first=5)}"])
    refused = _refusal(monkeypatch, session, pod, "nobody")
    assert refused.code == "drop-uncertain"
    assert "--target-lsn 0/92EB7C0 --exclusive --expect-table public.nobody   # transaction 1039" in refused.remedy
    assert len(pod.sent) == 1


def test_a_drop_from_before_the_wal_on_the_server_is_found_in_the_archive(
    monkeypatch: pytest.MonkeyPatch, session: Session, store: ObjectStoreDouble
) -> None:
    # GIVEN a server with WAL from segment 9 on, an archive with all from 2 on, and the drop in what is read second
    put_wal(store, "postgres-prod", wal(range(2, 10)))
    told: list[str] = []
    session = replace(session, say=told.append)
    pod = _Pod(changes="", archived=[_scanned(COMMITS[2], first=5), _scanned(COMMITS[0], COMMIT_1029, first=2)])
    # WHEN
    drop = _find(monkeypatch, session, pod, "probe")
    # THEN it was gone back piece by piece, each with the beginning of what follows it
    names = [name_of(1, number, SEGMENT) for number in range(10)]
    assert pod.sent == [names[5:10], names[2:6]]
    assert (drop.xid, drop.time, drop.from_archive) == (1029, read_commit(COMMIT_1029).time, 7)  # type: ignore[union-attr]
    assert drop.left_out.count == 1 + 1 + len(COMMITS)
    assert "found by reading 7 segments of the archived WAL" in drop.facts["Dropped"]
    assert told == ["looking for the drop in the archived WAL: 4 segments, back to 2026-04-20 00:50:00 UTC"]


def test_a_drop_from_before_all_wal_names_its_transaction(
    monkeypatch: pytest.MonkeyPatch, session: Session, store: ObjectStoreDouble
) -> None:
    put_wal(store, "postgres-prod", wal([5, 7, 8, 9]))
    pod = _Pod(changes="", archived=[_scanned(COMMITS[2], first=7)])
    refused = _refusal(monkeypatch, session, pod, "probe")
    assert refused.code == "drop-too-old"
    assert "the segment before it, 000000010000000000000006, is not in the archive" in refused.cause
    assert "--target-xid 1032 --exclusive --backup-id" in refused.remedy


def test_going_back_ends_when_it_has_taken_too_long(
    monkeypatch: pytest.MonkeyPatch, session: Session, store: ObjectStoreDouble
) -> None:
    put_wal(store, "postgres-prod", wal(range(2, 10)))
    monkeypatch.setattr(archive_search, "_LIMIT_SECONDS", 0)
    refused = _refusal(monkeypatch, session, _Pod(changes="", archived=[_scanned(first=5)]), "probe")
    assert refused.code == "drop-too-old"
    assert "back to 2026-04-20 00:50:00 UTC" in refused.cause


@pytest.mark.usefixtures("own_home")
def test_an_archive_that_cannot_be_read_leaves_what_the_server_has(
    monkeypatch: pytest.MonkeyPatch, session: Session
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{closed_port()}")
    refused = _refusal(monkeypatch, session, _Pod(changes=""), "probe")
    assert refused.code == "drop-too-old"
    assert "cannot be reached" in refused.cause


def test_a_pod_without_room_is_sent_nothing(
    monkeypatch: pytest.MonkeyPatch, session: Session, store: ObjectStoreDouble
) -> None:
    put_wal(store, "postgres-prod", wal(range(2, 10)))
    in_pods(monkeypatch, _Pod(changes="").answer)
    small = a_source(ephemeralVolumesSizeLimit={"temporaryData": "32Mi"})
    monkeypatch.setattr(search, "find_cluster", lambda *_: small)
    with pytest.raises(RefusedError, match="temporaryData") as refused:
        search.find_drop(session, "postgres-prod", TableName.parse("probe"))
    assert refused.value.code == "drop-too-old"


def test_a_drop_that_did_not_commit_is_none(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    pod = _Pod(changes="", status="1032|in progress\n", exists=True)
    assert _refusal(monkeypatch, session, pod, "probe").code == "table-exists"


def test_a_source_that_does_not_answer_leaves_only_a_time(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    gone = AccessError("not-found", "there is no such pod", "look")
    in_pods(monkeypatch, lambda _: gone)
    for cluster in (None, replace(a_source(), primary=None), a_source()):
        monkeypatch.setattr(search, "find_cluster", lambda *_, found=cluster: found)
        with pytest.raises(RefusedError) as refused:
            search.find_drop(session, "postgres-prod", TableName.parse("users"))
        assert refused.value.code == "drop-source-silent"
        assert "--target-time" in refused.value.remedy
