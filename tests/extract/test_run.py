"""The steps of an extraction where things go wrong; how they go right is seen on the lab (tests/e2e)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from semver import Version

from dr.cli.progress import reporter_for
from dr.core.errors import AccessError, DrError
from dr.engine.command import Installation
from dr.engine.recovery_stack import RecoveryStack
from dr.extract.plan import decide_extraction
from dr.extract.run import Extract
from dr.extract.statements import NOT_DONE
from dr.extract.table_facts import Prepared
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import Ran
from dr.recovery.scratch import Scratch
from dr.run.journal import Journal
from dr.run.operation import OperationContext
from dr.run.session import Session
from tests.support.builders import (
    NOW,
    TARGET_TIME,
    a_holder,
    a_recovered,
    a_situation,
    a_source,
    an_environment,
    as_seen,
)
from tests.support.doubles import Impatient, RanInPod, RecordsDouble, in_pods, said
from tests.support.extractions import a_table, an_extract_request, an_extract_situation

SCRATCH = "postgres-prod-scratch"
LOCKED = said(code=3, errors="ERROR:  canceling statement due to lock timeout")


class _Bench:
    """One extraction whose databases answer as ``answer`` says, and whose scratch Cluster is there from the start."""

    def __init__(self, api: KubernetesApi, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._api, self._folder, self._monkeypatch = api, folder, monkeypatch
        self.ran: list[RanInPod] = []
        self.removed: list[str] = []
        self.stop = Impatient()

    def _remove(self) -> str:
        self.removed.append(SCRATCH)
        return f"{SCRATCH} is gone"

    def extraction(self, answer: Callable[[RanInPod], Ran | AccessError], *, swap: bool = False) -> Extract:
        scratch = replace(as_seen(a_recovered(SCRATCH)), primary=f"{SCRATCH}-1")
        self._monkeypatch.setattr(Scratch, "recover", lambda _: scratch)
        self._monkeypatch.setattr(Scratch, "find", lambda _: scratch)
        self._monkeypatch.setattr(Scratch, "remove", lambda _: self._remove())
        self.ran = in_pods(self._monkeypatch, answer)
        environment = an_environment()
        session = Session(environment=environment, api=self._api, holder=a_holder(), clock=lambda: NOW, stop=self.stop)
        records = RecordsDouble()
        journal = Journal(path=self._folder / "prod.jsonl", common={}, records=records, user="ann@ops-1")
        installed = Installation(program="pulumi", version=Version(3, 250, 0))
        stack = RecoveryStack(environment, installed)
        decision = decide_extraction(
            environment, an_extract_request(swap=swap), an_extract_situation(recovery=a_situation(source=a_source()))
        )
        extraction = Extract(decision)
        with reporter_for(extraction.plan, quiet=True) as reporter:
            extraction.begin(OperationContext(session=session, stack=stack, journal=journal, reporter=reporter))
        return extraction


def do(extraction: Extract, key: str) -> str:
    (step,) = (step for step in extraction.plan.steps if step.key == key)
    return step.run()


@pytest.fixture
def bench(api: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Bench:
    return _Bench(api, tmp_path, monkeypatch)


STOPPED = f"1\tFF/0\tbefore {TARGET_TIME + timedelta(seconds=1)}\n"
"""A recovery's history: it stopped at the target."""


def databases(
    *,
    there: str = a_table().model_dump_json(),
    staged: str = a_table(oid=16500).model_dump_json(),
    script: Callable[[], Ran] = said,
    copy: Ran | None = None,
    digests: tuple[str, str] = ("1000|7", "1000|7"),
    history: str = STOPPED,
    room: int = 2**40,
) -> Callable[[RanInPod], Ran]:
    """Databases that answer as if all were well: ``there`` is the table in the scratch Cluster, ``staged`` the one that
    was loaded; ``script`` is what comes of each script, ``digests`` what the live one and the scratch one have.
    """

    def answer(ran: RanInPod) -> Ran:
        words, scratch = " ".join(ran.command), ran.pod.startswith(SCRATCH)
        if ran.standard_input.endswith("\\q\n"):
            return script()
        for mark, found in (
            ("json_build_object", there if scratch else staged),
            ("count(*)", digests[scratch]),
            ("df --output", f"1 {room}\n1 {room}\n"),
            ("pg_read_file", history),
        ):
            if mark in words:
                return said(found)
        return copy or said() if "pg_dump --dbname" in words else said()

    return answer


def scripts(bench: _Bench) -> list[RanInPod]:
    return [ran for ran in bench.ran if ran.standard_input.endswith("\\q\n")]


def failure(step: Callable[[], object]) -> DrError:
    with pytest.raises(DrError) as failed:
        step()
    return failed.value


@pytest.mark.parametrize(
    ("there", "code"),
    [
        ("", "table-missing-at-target"),
        (a_table(temporary_or_unlogged=True).model_dump_json(), "table-not-supported"),
        (a_table(is_partition=True).model_dump_json(), "table-not-supported"),
    ],
)
def test_a_table_that_cannot_be_had_is_told_and_the_scratch_cluster_goes(bench: _Bench, there: str, code: str) -> None:
    extraction = bench.extraction(databases(there=there))
    do(extraction, "recover")
    error = failure(lambda: do(extraction, "find"))
    assert error.code == code
    assert bench.removed == [SCRATCH]
    assert "is gone" in error.cause
    assert scripts(bench) == []


def test_a_scratch_cluster_that_did_not_come_to_the_target_goes_and_nothing_is_taken_from_it(bench: _Bench) -> None:
    """E1, in an extraction: PostgreSQL promoted, and not because of the target."""
    promoted = "1\tFF/0\tno recovery target specified\n"
    extraction = bench.extraction(databases(history=promoted))
    failed = failure(lambda: do(extraction, "recover"))
    assert failed.code == "recovery-ended-early"
    assert "gone" in failed.cause
    assert bench.removed == [SCRATCH]
    assert scripts(bench) == []


def test_a_table_without_room_is_refused_before_a_row_of_it_is_loaded(bench: _Bench) -> None:
    extraction = bench.extraction(databases(room=2**20, staged=""))
    do(extraction, "recover")
    error = failure(lambda: do(extraction, "find"))
    assert error.code == "no-room-for-table"
    # The scratch Cluster stays: once there is room, the command goes on with it.
    assert bench.removed == []


def test_a_load_that_fails_says_why_in_postgresqls_words(bench: _Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dr.extract.steps.superuser_password", lambda *_, **__: "s")
    wrong = said(code=3, errors='ERROR:  type "public.mood" does not exist')
    extraction = bench.extraction(databases(staged="", copy=wrong))
    do(extraction, "recover")
    do(extraction, "find")
    error = failure(lambda: do(extraction, "load"))
    assert error.code == "load-failed"
    assert 'type "public.mood" does not exist' in error.cause


def test_a_copy_that_differs_gets_no_place(bench: _Bench) -> None:
    extraction = bench.extraction(databases(digests=("999|7", "1000|7")))
    do(extraction, "recover")
    do(extraction, "find")
    error = failure(lambda: do(extraction, "verify"))
    assert error.code == "copy-differs"
    assert "999 rows" in error.cause
    assert "1000 rows" in error.cause


def test_a_place_that_others_hold_is_asked_for_again(bench: _Bench) -> None:
    # GIVEN a table that is locked twice, when it comes to the live database
    answers: Iterator[Ran] = iter([said(), LOCKED, LOCKED, said()])
    extraction = bench.extraction(databases(script=lambda: next(answers)))
    do(extraction, "recover")
    do(extraction, "find")
    # WHEN
    assert do(extraction, "place") == "public.users_recovered_20260427t095500z"
    # THEN the same transaction was tried three times, with a pause for the others
    assert len({ran.standard_input for ran in scripts(bench)[1:]}) == 1
    assert len(scripts(bench)) == 4
    assert len(bench.stop.waited) == 2


def test_what_is_locked_for_good_is_left_alone_and_told(bench: _Bench) -> None:
    answers: Iterator[Ran] = iter([said(), *[LOCKED] * 20])
    extraction = bench.extraction(databases(script=lambda: next(answers)))
    do(extraction, "recover")
    do(extraction, "find")
    assert failure(lambda: do(extraction, "place")).code == "table-locked"


def test_a_transaction_that_fails_for_another_reason_is_not_tried_again(bench: _Bench) -> None:
    answers: Iterator[Ran] = iter([said(), said(code=3, errors="ERROR:  relation exists")])
    extraction = bench.extraction(databases(script=lambda: next(answers)))
    do(extraction, "recover")
    do(extraction, "find")
    assert failure(lambda: do(extraction, "place")).code == "sql-failed"


def test_what_could_not_be_brought_back_is_a_fault_of_the_report_and_no_failure(bench: _Bench) -> None:
    told = f"WARNING:  {NOT_DONE}view public.emails: column users.gone does not exist\nSET"
    answer = databases(script=lambda: said(errors=told), staged=a_table().model_dump_json())
    extraction = bench.extraction(answer, swap=True)
    do(extraction, "recover")
    extraction.prepared = Prepared(facts=a_table(), view_statements=())
    do(extraction, "place")
    assert extraction.done.faults == ("view public.emails: column users.gone does not exist",)
