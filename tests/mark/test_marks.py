"""Restore points: their names, what keeps one from being made, and the making itself."""

from dataclasses import dataclass, field, replace
from functools import partial
from threading import Event

import pytest

from dr.archive.contents import Catalogue
from dr.archive.seal import seal_wal
from dr.cnpg.cluster import Archiving
from dr.core.errors import AccessError, RefusedError, RequestError, StepFailedError
from dr.core.history import Holder
from dr.kube import workloads
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import Ran
from dr.mark import run as operation
from dr.mark.marks import KEPT, Marks, check_mark_name, problems_of_mark, with_mark
from dr.run.record import Mark
from dr.run.session import Session
from tests.support.builders import NOW, SOURCE_HOST, a_backup, a_source, an_environment
from tests.support.doubles import RanInPod, RecordsDouble, in_pods, said

CATALOGUE = Catalogue(server_name="postgres-prod", backups=(a_backup(),), server_names=frozenset({"postgres-prod"}))
MARK = Mark(
    name="before-42",
    cluster="postgres-prod",
    server_name="postgres-prod",
    lsn="0/3000158",
    segment="000000010000000000000003",
    backup_id="20260427T030000",
    made=NOW,
    made_by="ann@ops-1",
    archived=True,
)
SAY = an_environment().commands


def _known(*marks: Mark) -> Marks:
    return Marks(environment="prod", commands=SAY, serving="postgres-prod", marks=marks)


@pytest.mark.parametrize("name", ["", "x" * 64, "ø" * 32, "a\nb", "tab\t", "\x7f"])
def test_a_name_that_postgresql_or_cloudnativepg_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(RequestError) as refused:
        check_mark_name(name)
    assert refused.value.code == "mark-name-malformed"


@pytest.mark.parametrize("name", ["x" * 63, "ø" * 31, "before migration 42", "it's"])
def test_any_other_name_is_taken(name: str) -> None:
    check_mark_name(name)


def test_the_command_comes_back_to_it_and_names_the_cluster_only_where_another_serves() -> None:
    spaced = MARK.model_copy(update={"name": "before 42"})
    command = "python -m dr pitr --env prod --target-name 'before 42' --backup-id 20260427T030000"
    assert spaced.command(SAY, serving="postgres-prod") == command
    assert spaced.command(SAY, serving="postgres-prod-recovered") == f"{command} --source postgres-prod"


def test_the_newest_are_kept() -> None:
    marks: tuple[Mark, ...] = ()
    for number in range(KEPT + 5):
        marks = with_mark(marks, MARK.model_copy(update={"name": str(number)}))
    assert (len(marks), marks[0].name, marks[-1].name) == (KEPT, "5", str(KEPT + 4))
    again = with_mark(marks, marks[3].model_copy(update={"archived": False}))
    assert (len(again), again[-1].name) == (KEPT, "8")


def test_everything_that_speaks_against_a_mark_is_told_at_once() -> None:
    failing = replace(a_source(), archiving=Archiving(working=False, message="no bucket"))
    empty = replace(CATALOGUE, backups=())
    found = problems_of_mark("before-42", _known(MARK), failing, empty)
    assert [problem.code for problem in found] == ["mark-exists", "no-backup", "archiving-failing"]
    dead = replace(a_source(), primary=None)
    for source in (None, dead):
        codes = [problem.code for problem in problems_of_mark("new", _known(MARK), source, CATALOGUE)]
        assert codes == ["mark-without-primary"]
    without = replace(a_source(), store=None)
    assert [p.code for p in problems_of_mark("new", _known(), without, None)] == ["no-object-store"]
    assert list(problems_of_mark("new", _known(MARK), a_source(), CATALOGUE)) == []


def test_a_mark_that_was_not_archived_may_be_made_again() -> None:
    unfinished = MARK.model_copy(update={"archived": False})
    assert list(problems_of_mark("before-42", _known(unfinished), a_source(), CATALOGUE)) == []


@dataclass
class _Seat:
    """A session whose cluster is a double, and what was said to the database."""

    session: Session
    records: RecordsDouble
    ran: list[RanInPod] = field(default_factory=list)

    @property
    def statements(self) -> list[str]:
        return [
            word for one in self.ran for flag, word in zip(one.command, one.command[1:], strict=False) if flag == "-c"
        ]


@pytest.fixture
def seat(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> _Seat:
    holder = Holder(user="ann", host="ops-1", pid=1)
    session = Session(environment=an_environment(), api=api, holder=holder, clock=lambda: NOW, stop=Event())
    found = _Seat(session, RecordsDouble())
    monkeypatch.setattr(Session, "records", property(lambda _: found.records))
    monkeypatch.setattr(operation, "held", lambda *_, **__: _Held())
    monkeypatch.setattr(operation, "find_cluster", lambda *_: a_source())
    monkeypatch.setattr(operation, "read_catalogue", lambda *_: CATALOGUE)
    monkeypatch.setattr(workloads, "external_name", lambda *_: SOURCE_HOST)
    found.ran = in_pods(monkeypatch, _answer)
    return found


class _Held:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _answer(ran: RanInPod) -> Ran | AccessError:
    script = " ".join(ran.command)
    if "pg_create_restore_point" in script:
        return said("0/3000158|000000010000000000000003\n")
    if "archived_count" in script:
        return said("t|8|0|none\n")
    return said(f"731\n0/3000158|00000001|{2**24}\n0/3000170\n" if "pg_switch_wal" in script else "")


def test_a_mark_is_made_then_archived_then_kept(seat: _Seat) -> None:
    made = operation.make_mark(seat.session, "before 'it'")
    assert "pg_create_restore_point('before ''it''')" in seat.statements[0]
    assert any("pg_switch_wal" in statement for statement in seat.statements[1:])
    assert made.marks == (MARK.model_copy(update={"name": "before 'it'"}),)
    assert seat.records.record is not None
    assert seat.records.record.marks == made.marks
    assert operation.list_marks(seat.session).marks == made.marks


def test_a_mark_that_does_not_reach_the_archive_is_remembered_and_finished_by_the_same_command(
    seat: _Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN an archive that does not take the segment
    refusing = said("f|5|3|none\n")
    monkeypatch.setattr(operation, "seal_wal", partial(seal_wal, limit=0))
    in_pods(monkeypatch, lambda ran: refusing if "pg_sleep" in " ".join(ran.command) else _answer(ran))
    with pytest.raises(StepFailedError) as stopped:
        operation.make_mark(seat.session, "before 42")
    assert stopped.value.code == "wal-not-archived"
    assert stopped.value.stopped is not None
    assert stopped.value.stopped.go_on == "python -m dr mark --env prod 'before 42'"
    assert [mark.archived for mark in operation.list_marks(seat.session).marks] == [False]
    # WHEN it is given again
    ran = in_pods(monkeypatch, _answer)
    operation.make_mark(seat.session, "before 42")
    # THEN no second restore point of the name is made
    assert not any("pg_create_restore_point" in " ".join(one.command) for one in ran)
    assert [mark.archived for mark in operation.list_marks(seat.session).marks] == [True]


def test_a_name_is_used_once(seat: _Seat) -> None:
    operation.make_mark(seat.session, "before-42")
    with pytest.raises(RefusedError) as refused:
        operation.make_mark(seat.session, "before-42")
    assert refused.value.code == "mark-exists"


def test_the_marks_as_values_have_their_commands() -> None:
    document = Marks(environment="prod", commands=SAY, serving="postgres-prod", marks=(MARK,)).as_json()
    (mark,) = document["marks"]
    assert mark["command"] == MARK.command(SAY, serving="postgres-prod")
    assert (mark["lsn"], mark["made"], mark["archived"]) == ("0/3000158", "2026-04-27T12:00:00Z", True)
