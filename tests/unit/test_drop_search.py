"""Finding a drop, from the request to the decision, with a double of the pod's programs."""

from dataclasses import dataclass, replace
from threading import Event

import pytest

from dr.clients.kubernetes import KubernetesApi
from dr.clients.pod_exec import Ran
from dr.model.drops import Drop
from dr.model.errors import AccessError, RefusedError
from dr.model.holder import Holder
from dr.model.table_name import TableName
from dr.operations import drop_search
from dr.operations.session import Session
from tests.builders import NOW, a_source, an_environment
from tests.doubles import RanInPod, in_pods, said
from tests.unit.pages import CHANGES, COMMITS, DATABASE, PAGE, PAGE_NUMBER, PUBLIC


@dataclass
class _Pod:
    """What the pod's programs answer."""

    schema: int = PUBLIC
    exists: bool = False
    page: bytes = PAGE
    changes: str = CHANGES
    names: str = ""
    status: str = "1032|committed\n"

    def answer(self, ran: RanInPod) -> Ran | AccessError:
        script = " ".join(ran.command)
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


@pytest.fixture
def session(api: KubernetesApi) -> Session:
    holder = Holder(user="ann", host="ops-1", pid=1)
    return Session(environment=an_environment(), api=api, holder=holder, clock=lambda: NOW, stop=Event())


def _find(monkeypatch: pytest.MonkeyPatch, session: Session, pod: _Pod, table: str) -> Drop:
    in_pods(monkeypatch, pod.answer)
    monkeypatch.setattr(drop_search, "find_cluster", lambda *_: a_source())
    return drop_search.find_drop(session, "postgres-prod", TableName.parse(table))


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


def test_a_table_without_trace_is_not_guessed(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    refused = _refusal(monkeypatch, session, _Pod(), "nobody")
    assert refused.code == "drop-uncertain"
    assert refused.remedy.count("--target-lsn") == 2
    assert _refusal(monkeypatch, session, _Pod(changes=""), "nobody").code == "drop-unknown"


def test_a_drop_from_before_the_wal_names_its_transaction(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    refused = _refusal(monkeypatch, session, _Pod(changes=""), "probe")
    assert refused.code == "drop-too-old"
    assert "--target-xid 1032 --exclusive --backup-id" in refused.remedy


def test_a_drop_that_did_not_commit_is_none(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    pod = _Pod(changes="", status="1032|in progress\n", exists=True)
    assert _refusal(monkeypatch, session, pod, "probe").code == "table-exists"


def test_a_source_that_does_not_answer_leaves_only_a_time(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    gone = AccessError("not-found", "there is no such pod", "look")
    in_pods(monkeypatch, lambda _: gone)
    for cluster in (None, replace(a_source(), primary=None), a_source()):
        monkeypatch.setattr(drop_search, "find_cluster", lambda *_, found=cluster: found)
        with pytest.raises(RefusedError) as refused:
            drop_search.find_drop(session, "postgres-prod", TableName.parse("users"))
        assert refused.value.code == "drop-source-silent"
        assert "--target-time" in refused.value.remedy
