"""The report that an operation leaves: made of the journal and of what was found out, also where it failed."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from dr.cnpg.progress import Stage
from dr.core.errors import AccessError, DrError, InterruptedOperationError, Stopped
from dr.core.plan import Phase, Plan, StepTaken
from dr.recovery.verify import loss_by_target
from dr.reports.document import ReportDocument
from dr.reports.phases import StageReached
from dr.run import report_keeping
from dr.run.journal import Journal
from dr.run.report_keeping import ReportData, save_report
from tests.support.builders import NOW, a_backup, a_step, an_environment
from tests.support.doubles import RecordsDouble
from tests.support.reports import a_report

PLAN = Plan(
    operation="pitr",
    environment="prod",
    facts={"Target": "then"},
    warnings=("mind the gap",),
    steps=(
        a_step("recover", phase=Phase.KUBERNETES),
        a_step("verify", phase=Phase.VERIFICATION),
        a_step("settle", phase=Phase.ENGINE),
    ),
)


@dataclass
class _Bench:
    """An operation whose steps take as long as it is told."""

    folder: Path
    now: datetime = NOW
    report_data: ReportData = field(default_factory=ReportData)

    def __post_init__(self) -> None:
        self.journal = Journal(path=self.folder / "prod.jsonl", common={}, records=RecordsDouble(), user="ann@ops-1")
        self.journal.begin(PLAN, "python -m dr pitr --env prod", self.now)

    def do(self, key: str, seconds: float) -> None:
        (step,) = (step for step in PLAN.steps if step.key == key)
        self.journal.step_started(step, self.now)
        self.now += timedelta(seconds=seconds)
        self.journal.step_done(step, f"fact of {key}", seconds, self.now)

    def fail(self, key: str, seconds: float, error: DrError) -> None:
        (step,) = (step for step in PLAN.steps if step.key == key)
        self.journal.step_started(step, self.now)
        self.now += timedelta(seconds=seconds)
        self.journal.failed(step, error, error, self.now)

    def end(self) -> None:
        self.journal.done({}, self.now, at_end=lambda record: record)

    def keep(self, **options: Any) -> ReportDocument:
        save_report(an_environment(), PLAN, self.journal, self.report_data, **options)
        assert self.report_data.kept_at is not None
        return ReportDocument.parse(self.report_data.kept_at.with_suffix(".json").read_text(), where="it")


@pytest.fixture
def bench(tmp_path: Path) -> _Bench:
    return _Bench(tmp_path)


def recover(bench: _Bench) -> None:
    """A recovery of 40 s: 5 until its Cluster is there, 15 for the base backup, 20 for WAL."""
    bench.report_data.until, bench.report_data.base, bench.report_data.segments = "verify", a_backup(), 7
    stages = ((Stage.WAITING, 5), (Stage.BASE_BACKUP, 5), (Stage.REPLAY, 20), (Stage.HEALTHY, 40))
    bench.report_data.marks = [StageReached(stage, bench.now + timedelta(seconds=seconds)) for stage, seconds in stages]
    bench.do("recover", 40)


def test_a_report_is_kept_beside_the_journal_and_says_all(bench: _Bench) -> None:
    # GIVEN an operation that ended well
    recover(bench)
    bench.report_data.found("users", "100000", True)
    bench.report_data.loss = loss_by_target(NOW, None)
    bench.report_data.log.append("pod line")
    bench.do("verify", 2)
    bench.do("settle", 3)
    bench.end()
    # WHEN
    report = bench.keep(result={"result": "recovered"})
    # THEN
    assert bench.report_data.kept_at == bench.folder / "prod" / f"{report.id}.html"
    assert (report.operation, report.outcome, report.failed) == ("pitr", "done", None)
    assert (report.facts, report.warnings) == ({"Target": "then"}, ("mind the gap",))
    assert [(step.key, step.title, step.seconds) for step in report.steps] == [
        ("recover", "Recover", 40),
        ("verify", "Verify", 2),
        ("settle", "Settle", 3),
    ]
    assert report.seconds == 45
    assert report.rto is not None
    assert (report.rto.seconds, report.rto.until, report.rto.goal_seconds) == (42, "verify", 1800)
    assert report.rto.phases == {Phase.ENGINE: 5, Phase.BASE_BACKUP: 15, Phase.WAL_REPLAY: 20, Phase.VERIFICATION: 2}
    assert report.sizes is not None
    assert (report.sizes.wal_segments, report.sizes.base_backup_bytes) == (7, 64 * 2**20)
    assert [finding.value for finding in report.findings] == ["100000"]
    assert report.result == {"result": "recovered"}
    assert report.rpo == bench.report_data.loss
    # AND it is there as a page and as Markdown
    assert "PITR on prod" in bench.report_data.kept_at.read_text()
    assert "pitr on prod" in bench.report_data.kept_at.with_suffix(".md").read_text()
    # AND the log stands beside it, and is named
    assert (bench.folder / "prod" / f"{report.id}.log").read_text() == "pod line\n"
    assert [link.what for link in report.links] == ["Recovery log", "Journal"]


def test_a_failure_leaves_a_report_too_without_an_rto(bench: _Bench) -> None:
    recover(bench)
    error = AccessError("api-unreachable", "the wire is cut", "fix it")
    begun = StepTaken(key="verify", title="Verify", undo=("kubectl delete cluster x",))
    error.stopped = Stopped(at=begun, done=(begun,), go_on="", journal="")
    bench.fail("verify", 2, error)
    report = bench.keep(error=error)
    assert report.outcome == "failed"
    assert report.failed is not None
    assert (report.failed.code, report.failed.cause, report.failed.step) == (
        "api-unreachable",
        "the wire is cut",
        "verify",
    )
    # AND what helps, and the way back: O13
    assert (report.failed.remedy, report.failed.undo) == ("fix it", ("kubectl delete cluster x",))
    assert report.rto is None
    assert report.steps[-1].seconds is None
    # AND yet what was measured by then is there
    assert report.spans[-1].phase is Phase.VERIFICATION
    assert report.sizes is not None


def test_an_interruption_is_told_as_one(bench: _Bench) -> None:
    error = InterruptedOperationError("interrupted", "stopped", "continue")
    bench.fail("recover", 2, error)
    assert bench.keep(error=error).outcome == "interrupted"


def test_a_disk_that_takes_no_report_fails_nothing_and_is_noted(bench: _Bench) -> None:
    (bench.folder / "prod").write_text("a file where the folder should be")
    bench.do("recover", 1)
    bench.end()
    save_report(an_environment(), PLAN, bench.journal, bench.report_data)
    assert bench.report_data.kept_at is None
    last = json.loads((bench.folder / "prod.jsonl").read_text().splitlines()[-1])
    assert last["event"] == "report-not-kept"


def test_a_page_that_cannot_be_made_fails_nothing_and_is_noted(bench: _Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def page(*_: object) -> str:
        raise UndefinedError("'report' has no attribute 'x'")

    monkeypatch.setattr(report_keeping, "page", page)
    bench.do("recover", 1)
    bench.end()
    save_report(an_environment(), PLAN, bench.journal, bench.report_data)
    assert bench.report_data.kept_at is None
    last = json.loads((bench.folder / "prod.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["cause"]) == (
        "report-not-kept",
        "UndefinedError: 'report' has no attribute 'x'",
    )


def test_what_has_not_ended_leaves_no_report(bench: _Bench) -> None:
    save_report(an_environment(), PLAN, bench.journal, bench.report_data)
    assert bench.report_data.kept_at is None
    assert not (bench.folder / "prod").exists()


def test_a_switchovers_rto_begins_with_the_recovery_that_it_ends(bench: _Bench) -> None:
    before = a_report(NOW - timedelta(seconds=100), operation="pitr")
    bench.report_data.since, bench.report_data.until = before, "verify"
    bench.do("verify", 7)
    bench.end()
    rto = bench.keep().rto
    assert rto is not None
    assert rto.since == before.id
    # 54 s of recovery, 46 until the switchover began, and 7 of that.
    assert rto.seconds == 107
    assert rto.phases[Phase.WAITING] == 46
