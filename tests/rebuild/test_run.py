"""A full rebuild's steps, on doubles of its stacks and of the operations inside it."""

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from dr.cnpg.progress import RecoveryProgress
from dr.config.infrastructure import Platform
from dr.config.stack_file import read_section
from dr.core.errors import DrError, EngineError, RecoveryError, RefusedError, VerificationError
from dr.core.history import Outcome
from dr.engine.changes import Change, Changes, Op
from dr.kube.api import KubernetesApi
from dr.rebuild import run as full_rebuild
from dr.rebuild import steps
from dr.rebuild.data_origin import Origin, OriginVerdict
from dr.rebuild.database import DatabaseFound
from dr.rebuild.layers import PlatformStacks, RebuildContext
from dr.rebuild.plan import RebuildRequest
from dr.rebuild.report import RebuildReport
from dr.rebuild.run import Rebuild
from dr.rebuild.store import RebuildLease, RebuildRecords
from dr.rebuild.view import show_rebuild
from dr.run.journal import Journal
from dr.run.session import Session
from tests.support.archives import archive, backup, wal
from tests.support.builders import NOW, a_holder, a_record, a_recovered, a_source, an_environment, as_seen
from tests.support.doubles import RecordsDouble, Wire
from tests.support.infra_fixtures import a_platform
from tests.support.rebuilds import a_rebuild

NETWORK = "gcp:compute/network:Network"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/clusters.postgresql.cnpg.io"
DEPLOYMENTS = "/apis/apps/v1/deployments"
APPLICATIONS = "/apis/argoproj.io/v1alpha1/applications"
ROOT = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/root"
READY = {"metadata": {"name": "x"}, "status": {"conditions": [{"type": "Established", "status": "True"}]}}
AVAILABLE = {"metadata": {"name": "x"}, "status": {"conditions": [{"type": "Available", "status": "True"}]}}
RECOVERED = "postgres-prod-recovered"


@dataclass
class LayerDouble:
    """A stack that has something to make the first time it is looked at, and nothing from then on."""

    title: str
    calls: list[str]
    missing: bool = True
    fails: EngineError | None = None
    running: bool = False

    def claim(self, *, take_over: bool) -> None:
        self.calls.append(f"claim {self.title}")

    def look(self) -> Changes:
        change = Change(op=Op.CREATE, type=NETWORK, urn=f"urn:pulumi:x::y::{NETWORK}::network")
        return Changes(stack=self.title, items=(change,) if self.missing else ())

    def up(self) -> None:
        self.calls.append(f"up {self.title}")
        self.missing = False

    def result(self) -> None:
        if self.fails:
            raise self.fails

    def interrupt(self) -> None:
        pass


@dataclass
class Listener:
    """A reporter that keeps what it is told."""

    said: list[str] = field(default_factory=list)
    done: dict[str, str] = field(default_factory=dict)

    def step_started(self, step: Any) -> None:
        self.said.append(step.key)

    def step_done(self, step: Any, fact: str, seconds: float) -> None:
        self.done[step.key] = fact

    def recovery(self, progress: RecoveryProgress, *, elapsed: float, limit: float) -> None:
        pass

    def progress(self, said: str) -> None:
        self.said.append(said)


@dataclass
class Day:
    """A day on which prod's cluster is gone."""

    folder: Path
    wire: Wire
    api: KubernetesApi
    monkeypatch: pytest.MonkeyPatch
    calls: list[str] = field(default_factory=list)
    listener: Listener = field(default_factory=Listener)
    origin: Origin = Origin.FRESH
    cluster: Any = field(default_factory=a_source)
    record: RecordsDouble = field(default_factory=RecordsDouble)
    argocd: bool = True
    base: Any = field(default_factory=lambda: backup(3))
    fails: dict[str, DrError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.durable, self.platform, self.bringing = (
            LayerDouble(name, self.calls) for name in ("durable", "platform", "argocd")
        )
        self.records = RebuildRecords(f"file://{self.folder}/state", "prod", user="ann@ops-1")
        patch = self.monkeypatch.setattr
        patch(steps, "read_archives", lambda _: (archive(backup(3), files=wal(range(3, 10))),))
        patch(steps, "find_database", self._find)
        patch(steps, "verify_database", lambda *_: [])
        patch(steps, "await_ok", lambda *_, **__: '200 {"users": 5}')
        patch(steps, "wanted_from", lambda *_: "wanted")
        patch(full_rebuild, "save_report", lambda *_, **__: None)
        patch(steps, "find_cluster", lambda *_: as_seen(a_recovered()))
        patch(steps, "recovery", SimpleNamespace(decide=self._decide_recovery, Recovery=self._recovery))
        patch(steps, "switchover", SimpleNamespace(decide=self._decide_move, Move=self._move))

    def _find(self, *_: object, **__: object) -> DatabaseFound:
        verdict = OriginVerdict(origin=self.origin, evidence=("its system identifier is 1",))
        return DatabaseFound(cluster=self.cluster, verdict=verdict, fenced=False)

    def _decide_recovery(self, session: Session, wanted: object) -> Any:
        assert wanted == "wanted"
        return SimpleNamespace(cluster=a_recovered(), base=self.base)

    def _recovery(self, decision: Any) -> Any:
        return SimpleNamespace(
            run=lambda _: self._ran("latest", SimpleNamespace(seconds=3.0, findings=(), compared=True))
        )

    def _decide_move(self, session: Session, request: Any) -> Any:
        assert (request.to, request.hibernate) == (RECOVERED, True)
        return SimpleNamespace(host=f"{RECOVERED}-rw.data.svc.cluster.local")

    def _move(self, decision: Any, *, patience: float) -> Any:
        steps = (("switch", 1.0, ""), ("back-up", 1.0, "base backup 20260427T100000"))
        return SimpleNamespace(run=lambda _: self._ran("switchover", SimpleNamespace(seconds=2.0, steps=steps)))

    def _ran(self, name: str, report: Any) -> Any:
        self.calls.append(name)
        if error := self.fails.pop(name, None):
            raise error
        return report

    def _session(self) -> Session:
        session = Session(environment=an_environment(), api=self.api, holder=a_holder())
        self.monkeypatch.setattr(Session, "records", self.record)
        return session

    def run(self, stop: Event | None = None, moved: Platform | None = None) -> RebuildReport:
        decision = a_rebuild()
        if moved:
            decision = replace(decision, request=RebuildRequest(region=moved.region, durable="durable-copy"))
        stage = RebuildContext(
            environment=an_environment(),
            layers=PlatformStacks(
                durable=self.durable,
                platform=self.platform,
                argocd=self.bringing if self.argocd else None,
                root=("argocd", "root"),
            ),
            records=self.records,
            lease=RebuildLease(f"file://{self.folder}/state", an_environment().commands),
            holder=a_holder(),
            connect=self._session,
            inner=lambda session, operation: (SimpleNamespace(), SimpleNamespace()),  # type: ignore[arg-type, return-value]
            journal=Journal(path=self.folder / "prod.jsonl", common={}, records=self.records, user="ann@ops-1"),
            reporter=self.listener,
            clock=lambda: NOW,
            stop=stop or Event(),
            take_over=False,
            known={},
            moved=moved,
        )
        return Rebuild(decision).run(stage)

    def failed(self, kind: type[DrError]) -> DrError:
        with pytest.raises(kind) as raised:
            self.run()
        return raised.value


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_home: Path, wire: Wire, api: KubernetesApi) -> Day:
    wire.on("/api/v1/namespaces", {"kind": "NamespaceList", "items": []})
    wire.on(CRD, READY)
    wire.on(DEPLOYMENTS, {"items": [AVAILABLE]})
    return Day(tmp_path, wire, api, monkeypatch)


def test_from_nothing_everything_is_made_recovered_and_switched_to(day: Day) -> None:
    report = day.run()
    assert day.calls == [
        "claim durable",
        "claim platform",
        "claim argocd",
        "up durable",
        "up platform",
        "up argocd",
        "latest",
        "switchover",
    ]
    facts = {key: fact for key, _, fact in report.steps}
    assert facts["switchover"].endswith("after 2.0 s; base backup 20260427T100000")
    assert (report.serving, report.smoke) == (RECOVERED, '200 {"users": 5}')
    assert report.origin.origin is Origin.FRESH
    assert report.next_commands[-1] == "python -m dr finalize --env prod"
    record = day.records.read()
    assert record is not None
    (entry,) = record.operations
    assert (entry.outcome, entry.go_on) == (Outcome.DONE, "python -m dr full-rebuild --env prod")
    assert len(entry.done) == 10


def test_a_platform_in_another_region_leaves_the_file_of_its_stack_for_git(
    day: Day, capsys: pytest.CaptureFixture[str]
) -> None:
    # WHEN
    moved = a_platform().in_region("europe-west1", zone="europe-west1-b")
    report = day.run(moved=moved)
    # THEN what it says is what was built
    file = Path(report.stack_file)
    assert file.name == "Pulumi.platform-europe-west1.yaml"
    assert "--region europe-west1 --durable durable-copy" in file.read_text()
    read = read_section(Platform, moved.name, yaml.safe_load(file.read_text()), where=file.name)
    assert read == moved
    # AND it is told what to write
    assert report.to_write == [
        f"copy {file} next to Pulumi.prod.yaml",
        "Pulumi.prod.yaml: infrastructure.platform: platform-europe-west1",
        "Pulumi.prod.yaml: infrastructure.durable: durable-copy",
        "Pulumi.prod.yaml: backup.bucket: backups-of-acme",
    ]
    show_rebuild(report)
    said = capsys.readouterr().out
    assert all(line in said for line in report.to_write)
    assert (report.as_json()["stackFile"], report.as_json()["toWrite"]) == (str(file), report.to_write)


def test_where_it_was_there_is_nothing_to_write(day: Day) -> None:
    report = day.run()
    assert (report.to_write, report.as_json()["stackFile"]) == ([], None)


def test_on_a_platform_that_is_well_there_is_nothing_to_do(day: Day) -> None:
    for layer in (day.durable, day.platform):
        layer.missing = False
    day.wire.on(ROOT, {"metadata": {"name": "root"}})
    day.origin = Origin.RESTORED
    report = day.run()
    assert [call for call in day.calls if not call.startswith("claim")] == []
    facts = {key: fact for key, _, fact in report.steps}
    assert [key for key, fact in facts.items() if fact.startswith("nothing to do")] == [
        *("durable", "platform", "argocd", "operator", "database", "recover", "switchover")
    ]
    assert report.serving == "postgres-prod"


def test_a_run_that_failed_goes_on_where_it_stopped(day: Day) -> None:
    day.fails["switchover"] = VerificationError("smoke-test-failed", "503", "look")
    error = day.failed(VerificationError)
    assert error.stopped is not None
    assert (error.stopped.at.key, error.stopped.go_on) == ("switchover", "python -m dr full-rebuild --env prod")
    kept = day.records.read()
    assert kept is not None
    assert kept.unfinished is not None
    # WHEN it is run again: what the first run recovered is there, younger than the Cluster that Git brought up
    day.record.record = a_record(a_recovered()).with_verified(RECOVERED, 700)
    day.cluster = replace(a_source(), created=as_seen(a_recovered()).created - timedelta(minutes=1))
    day.calls.clear()
    assert day.run().serving == RECOVERED
    assert [call for call in day.calls if not call.startswith("claim")] == ["switchover"]


def test_a_cluster_that_was_recovered_on_another_day_is_not_taken_for_todays(day: Day) -> None:
    day.record.record = a_record(a_recovered()).with_verified(RECOVERED, 700)
    day.cluster = replace(a_source(), created=as_seen(a_recovered()).created + timedelta(days=30))
    day.run()
    assert "latest" in day.calls


def test_a_stack_that_does_not_come_up_stops_it_before_anything_else(day: Day) -> None:
    day.platform.fails = EngineError("engine-failed", "Error 403: Quota 'CPUS' exceeded", "x")
    error = day.failed(EngineError)
    assert error.code == "quota-exceeded"
    assert "up argocd" not in day.calls
    assert error.stopped is not None
    assert [step.key for step in error.stopped.done] == ["survivors", "durable"]


def test_without_a_stack_for_argo_cd_the_root_application_has_to_be_there(day: Day) -> None:
    day.argocd = False
    day.wire.on(ROOT, {"metadata": {"name": "root"}})
    assert day.run().serving == RECOVERED
    day.wire.on(ROOT, b"404 page not found\n", status=404)
    assert day.failed(EngineError).code == "argocd-not-configured"


def test_an_argo_cd_that_is_there_is_left_alone_as_an_operation_may_have_paused_it(day: Day) -> None:
    day.wire.on(ROOT, {"metadata": {"name": "root"}})
    assert day.bringing.missing
    day.run()
    assert "up argocd" not in day.calls


def test_a_base_backup_of_another_database_is_never_recovered_from(day: Day) -> None:
    day.base = replace(backup(9), system_id="1")
    assert day.failed(VerificationError).code == "archive-written"
    assert "latest" not in day.calls


def test_while_it_waits_for_the_operator_it_tells_how_far_argo_cd_is(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_OPERATOR_SECONDS", 0)
    failed = {"operationState": {"phase": "Failed", "message": "no such path"}}
    items = [{"metadata": {"name": "cnpg"}, "status": {"sync": {"status": "OutOfSync"}, **failed}}]
    day.wire.on(DEPLOYMENTS, {"items": []})
    day.wire.on(APPLICATIONS, {"items": items})
    error = day.failed(RecoveryError)
    assert error.code == "operator-missing"
    assert "cnpg: no such path" in error.cause
    waiting = [line for line in day.listener.said if line.startswith("waiting for CloudNativePG's operator")]
    assert "0 of 1 Applications are well; cnpg OutOfSync/Unknown" in waiting[0]
    assert waiting[0].endswith("min left]")


def test_a_second_operator_is_kept_out(day: Day) -> None:
    lease = RebuildLease(f"file://{day.folder}/state", an_environment().commands)
    assert lease.write("bob@ops-2:8", NOW, timedelta(seconds=15), over=None)
    assert day.failed(RefusedError).code == "another-operator"
    assert day.calls == []


def test_a_stop_is_kept_as_such_and_the_lease_is_given_back(day: Day) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(DrError) as raised:
        day.run(stop)
    assert raised.value.code == "interrupted"
    record = day.records.read()
    assert record is not None
    assert record.operations[-1].outcome is Outcome.INTERRUPTED
    seen = RebuildLease(f"file://{day.folder}/state", an_environment().commands).read()
    assert seen is not None
    assert seen.holder == ""


def test_the_report_is_plain_values(day: Day) -> None:
    told = json.loads(json.dumps(day.run().as_json()))
    assert (told["operation"], told["restoredFrom"], told["origin"]) == (
        "full-rebuild",
        "postgres-prod",
        "bootstrapped fresh",
    )
    assert [step["key"] for step in told["steps"]][-1] == "smoke-test"
