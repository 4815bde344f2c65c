"""A switchover and a rollback step by step, at doubles of the Kubernetes API, of its pods and of the engine."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from semver import Version

from dr.cli.progress import reporter_for
from dr.cnpg.fencing import HIBERNATION
from dr.cnpg.quiet import quieted
from dr.cnpg.recovered import RecoveredCluster
from dr.core.errors import (
    AccessError,
    DrError,
    EngineError,
    InterruptedOperationError,
    StepFailedError,
    VerificationError,
)
from dr.core.history import Outcome
from dr.core.target import LaterCommits
from dr.engine.backend import Backend
from dr.engine.changes import Changes
from dr.engine.command import Installation
from dr.engine.recovery_stack import RecoveryStack
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import Ran
from dr.run.journal import Journal
from dr.run.operation import OperationContext
from dr.run.record import Record
from dr.run.session import Session
from dr.stacks.declaration import Declaration
from dr.switchover.plan import MoveRequest
from dr.switchover.report import MoveReport
from dr.switchover.run import Move, decide
from tests.support.builders import NOW, RECOVERED_HOST, SOURCE_HOST, a_holder, a_record, a_recovered, an_environment
from tests.support.doubles import Impatient, RanInPod, in_pods, said, serving
from tests.support.fake_environment import CLUSTERS, CRON_JOBS, RECORD, FakeEnvironment


class _Engine(RecoveryStack):
    """An engine that declares at once."""

    def __init__(self, world: FakeEnvironment) -> None:
        self.backend = Backend.of(an_environment())
        self.declared: list[Declaration] = []
        self.foreseen: list[Declaration] = []
        self.judged: list[Callable[[Changes], None]] = []
        self.puts: Callable[[str], str] = str
        self._world = world
        self._installed = Installation(program="pulumi", version=Version(3, 250, 0))

    def prepare(self) -> None:
        pass

    def foresee(self, declaration: Declaration) -> None:
        self.foreseen.append(declaration)

    def up(self, declaration: Declaration, judge: Callable[[Changes], None]) -> None:
        self.judged.append(judge)
        self.declared.append(declaration)
        if declaration.external_name is None:
            self._world.did.append("declared the Clusters")
            return
        self._world.did.append(f"declared {declaration.external_name}")
        self._world.points_to(self.puts(declaration.external_name))

    def result(self, seconds: float | None = None) -> None:
        pass

    def interrupt(self) -> None:
        pass


@pytest.fixture
def wire(own_home: Path) -> Iterator[FakeEnvironment]:
    with serving(FakeEnvironment()) as world:
        yield world


class _Bench:
    def __init__(
        self, api: KubernetesApi, world: FakeEnvironment, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.engine = _Engine(world)
        self.login = said("10.1.2.3\n")
        self._api = api
        self._world = world
        self._folder = folder
        self.stop = Impatient()
        in_pods(monkeypatch, self._in_pod)

    def _in_pod(self, ran: RanInPod) -> Ran | AccessError:
        match ran.command[0]:
            case "pg_isready":
                return said(code=2 if self._world.fenced(ran.pod.removesuffix("-1")) else 0)
            case "getent":
                host = self._world.host if ran.command[2].startswith("prod-postgres") else ran.command[2]
                return said(f"10.0.0.{len(host)} STREAM {host}\n")
            case "psql":
                return said()  # no parameter keeps anything quiet
            case "sh":
                self._world.did.append("login")
                return self.login
        return AccessError("exec-timeout", "no answer", "look")

    def move(self, **request: Any) -> MoveReport:
        """Decide and do it."""
        asked = MoveRequest(**{"to": "" if request.get("back") else "postgres-prod-recovered", **request})
        environment = an_environment(smokeTestUrl=None)
        session = Session(environment=environment, api=self._api, holder=a_holder(), clock=lambda: NOW, stop=self.stop)
        decision = decide(session, asked)
        journal = Journal(path=self._folder / "prod.jsonl", common={}, records=session.records, user="ann@ops-1")
        move = Move(decision)
        with reporter_for(move.plan, quiet=True) as reporter:
            context = OperationContext(session=session, stack=self.engine, journal=journal, reporter=reporter)
            return move.run(context)


@pytest.fixture
def bench(api: KubernetesApi, wire: FakeEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Bench:
    return _Bench(api, wire, tmp_path, monkeypatch)


def test_a_switchover_does_all_in_the_order_that_loses_nothing(bench: _Bench, wire: FakeEnvironment) -> None:
    report = bench.move()
    assert wire.did == [
        "api 0",
        "worker 0",
        "postgres-prod fenced",
        "postgres-prod-recovered let go",
        f"declared {RECOVERED_HOST}",
        "login",
        "api 3",
        "worker 3",
    ]
    assert wire.host == report.decision.host == RECOVERED_HOST
    assert [key for key, _, _ in report.steps][-2:] == ["start-workloads", "back-up"]


def test_a_switchover_is_remembered_for_the_way_back(bench: _Bench, wire: FakeEnvironment) -> None:
    bench.move()
    record = wire.record
    assert (record.came_from, record.external_name, record.fenced) == (
        (SOURCE_HOST,),
        RECOVERED_HOST,
        ("postgres-prod",),
    )
    assert record.replicas == {"api": 3, "worker": 3}
    assert (record.operations[-1].operation, record.operations[-1].outcome) == ("switchover", Outcome.DONE)


def test_what_starts_by_itself_is_held_until_the_workloads_run_again(bench: _Bench, wire: FakeEnvironment) -> None:
    wire.keep(f"{CRON_JOBS}/report", {"metadata": {"name": "report", "namespace": "prod"}, "spec": {}})
    report = bench.move()
    assert wire.did[0] == "report suspended"
    assert wire.did[-1] == "report as before"
    keys = [key for key, _, _ in report.steps]
    assert keys.index("hold") < keys.index("stop-writers") < keys.index("start-workloads") < keys.index("let-go")
    assert wire.record.held == {}


def test_all_recovered_clusters_stay_declared(bench: _Bench) -> None:
    bench.move()
    (declaration,) = bench.engine.declared
    assert [cluster.name for cluster in declaration.clusters] == ["postgres-prod-recovered", "other"]


def test_a_rollback_brings_everything_back(bench: _Bench, wire: FakeEnvironment) -> None:
    bench.move()
    bench.move(back=True)
    assert wire.host == SOURCE_HOST
    assert (wire.fenced("postgres-prod"), wire.fenced("postgres-prod-recovered")) == (False, True)
    assert wire.counts == {"api": 3, "worker": 3}
    record = wire.record
    assert (record.came_from, record.fenced) == ((), ("postgres-prod-recovered",))


def test_two_switchovers_are_rolled_back_one_by_one(bench: _Bench, wire: FakeEnvironment) -> None:
    bench.move()
    bench.move(to="other")
    hosts = [bench.move(back=True).decision.host for _ in range(2)]
    assert hosts == [RECOVERED_HOST, SOURCE_HOST]


def test_a_password_that_is_refused_keeps_the_workloads_stopped(bench: _Bench, wire: FakeEnvironment) -> None:
    bench.login = said(code=2, errors="password authentication failed")
    with pytest.raises(DrError) as failed:
        bench.move()
    assert failed.value.code == "login-failed"
    assert wire.counts == {"api": 0, "worker": 0}


def test_a_switchover_that_stopped_after_the_service_moved_goes_on_to_its_end(
    bench: _Bench, wire: FakeEnvironment
) -> None:
    bench.login = said(code=2, errors="password authentication failed")
    with pytest.raises(DrError):
        bench.move()
    bench.login = said("10.1.2.3\n")
    bench.move()
    assert wire.counts == {"api": 3, "worker": 3}, "the zeros of the first run were taken for the wanted counts"
    assert wire.fenced("postgres-prod")
    assert wire.record.came_from == (SOURCE_HOST,)


def test_a_service_that_is_put_back_at_once_is_told(bench: _Bench) -> None:
    bench.engine.puts = lambda _: SOURCE_HOST
    with pytest.raises(StepFailedError) as failed:
        bench.move()
    assert failed.value.code == "service-put-back"
    assert SOURCE_HOST in failed.value.cause


def test_an_engine_that_waits_for_what_it_may_not_see_is_told(bench: _Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def waits(_: _Engine, __: float | None = None) -> None:
        raise TimeoutError

    monkeypatch.setattr(_Engine, "result", waits)
    with pytest.raises(EngineError, match="within 180 s") as caught:
        bench.move()
    assert "list and watch both" in caught.value.remedy


def test_a_service_that_is_put_back_later_is_told_at_the_end(bench: _Bench, wire: FakeEnvironment) -> None:
    wire.others_do = {"worker 3": lambda: wire.points_to(SOURCE_HOST)}
    with pytest.raises(StepFailedError) as failed:
        bench.move()
    assert failed.value.code == "service-put-back"
    # AND going on leads to the end
    bench.move()
    assert wire.host == RECOVERED_HOST


def test_writers_that_come_back_before_the_name_moves_are_told(bench: _Bench, wire: FakeEnvironment) -> None:
    wire.others_do = {"worker 0": lambda: wire.scaled("api", 3)}
    with pytest.raises(StepFailedError) as failed:
        bench.move()
    assert failed.value.code == "writers-came-back"
    assert "api 3" in failed.value.cause
    assert "worker" not in failed.value.cause
    assert (wire.host, wire.fenced("postgres-prod")) == (SOURCE_HOST, True)
    # AND going on stops them again
    bench.move()
    assert (wire.host, wire.counts) == (RECOVERED_HOST, {"api": 3, "worker": 3})


def test_an_interruption_while_the_engine_runs_starts_nothing(bench: _Bench, wire: FakeEnvironment) -> None:
    def interrupted(host: str) -> str:
        bench.stop.set()
        return host

    bench.engine.puts = interrupted
    with pytest.raises(InterruptedOperationError) as stopped:
        bench.move()
    assert stopped.value.stopped is not None
    assert stopped.value.stopped.at.key == "switch"
    assert stopped.value.stopped.go_on == "python -m dr switchover --env prod"
    assert "login" not in wire.did
    assert wire.record.unfinished is not None


def test_a_rollback_that_stopped_after_the_service_moved_does_not_go_back_further(
    bench: _Bench, wire: FakeEnvironment
) -> None:
    # GIVEN two switchovers, and a rollback of the second that stops after the Service has moved
    bench.move()
    bench.move(to="other")
    bench.login = said(code=2, errors="password authentication failed")
    with pytest.raises(DrError):
        bench.move(back=True)
    assert wire.host == RECOVERED_HOST
    # WHEN it is gone on with
    bench.login = said("10.1.2.3\n")
    bench.move(back=True)
    # THEN it ends where it was going
    assert wire.host == RECOVERED_HOST


def test_a_rollback_has_come_back_in_the_very_write_that_says_it_is_done(bench: _Bench, wire: FakeEnvironment) -> None:
    # Killed between two writes it would be resumed, and go back one switchover further.
    bench.move()
    bench.move(to="other")
    bench.move(back=True)
    written = [
        Record.model_validate_json(put.body["data"]["record.json"])
        for put in wire.received("PUT")
        if put.path == RECORD
    ]
    of_the_rollback = [
        record for record in written if record.operations and record.operations[-1].operation == "rollback"
    ]
    arrived = [record for record in of_the_rollback if record.came_from == (SOURCE_HOST,)]
    assert [record.operations[-1].outcome for record in arrived] == [Outcome.DONE]


@pytest.mark.parametrize("host", [RECOVERED_HOST, "pool.data.svc.cluster.local"])
def test_a_service_that_other_hands_have_moved_comes_back_to_the_cluster_that_was_left(
    bench: _Bench, wire: FakeEnvironment, host: str
) -> None:
    """E9."""
    wire.points_to(host)
    bench.move()
    assert wire.fenced("postgres-prod")
    bench.move(back=True)
    assert (wire.host, wire.fenced("postgres-prod"), wire.record.came_from) == (SOURCE_HOST, False, ())


def test_a_name_that_was_written_otherwise_is_come_back_to(bench: _Bench, wire: FakeEnvironment) -> None:
    # GIVEN a Service that pointed to the source by a name with the root's dot
    wire.points_to(f"{SOURCE_HOST}.")
    bench.move()
    # WHEN
    bench.move(back=True)
    # THEN there is no way back left
    assert wire.record.came_from == ()


def test_the_end_is_written_down_while_the_lease_is_still_held(bench: _Bench, wire: FakeEnvironment) -> None:
    bench.move()
    puts = wire.received("PUT")
    given_back = [number for number, put in enumerate(puts) if put.body.get("spec", {}).get("holderIdentity") == ""]
    written = [
        number
        for number, put in enumerate(puts)
        if put.path == RECORD and Record.model_validate_json(put.body["data"]["record.json"]).unfinished is None
    ]
    assert written[-1] < given_back[-1]


def _behind(monkeypatch: pytest.MonkeyPatch, planned: int | None, *, at_the_fence: int | None) -> None:
    """So many transactions are in the Cluster that is left alone, when planned and after it was fenced."""

    def counted(count: int | None) -> Callable[..., LaterCommits | None]:
        return lambda *_, **__: None if count is None else LaterCommits(count=count, last=NOW, complete=True)

    monkeypatch.setattr("dr.switchover.run.left_behind", counted(planned))
    monkeypatch.setattr("dr.switchover.run.other_clients", lambda *_, **__: ())
    monkeypatch.setattr("dr.switchover.steps.left_behind", counted(at_the_fence))


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize(("at_the_fence", "code"), [(5, "more-left-behind"), (None, "left-behind-unknown")])
def test_more_than_was_agreed_to_stays_behind_only_with_another_agreement(
    bench: _Bench,
    wire: FakeEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    running: bool,
    at_the_fence: int | None,
    code: str,
) -> None:
    """E8: nobody was seen who writes, and somebody did; or who was seen has written until they were stopped."""
    for name in ("api", "worker"):
        wire.scaled(name, 3 if running else 0)
    _behind(monkeypatch, 2, at_the_fence=at_the_fence)
    with pytest.raises(VerificationError) as failed:
        bench.move()
    assert failed.value.code == code
    # THEN nothing is lost: it is kept where it is, and the Service leads there still
    assert wire.fenced("postgres-prod")
    assert not wire.counts["api"]
    assert wire.host == SOURCE_HOST
    # AND with the new number, or the words that there is none, it goes on
    _behind(monkeypatch, at_the_fence, at_the_fence=at_the_fence)
    assert bench.move().decision.host == wire.host == RECOVERED_HOST


def test_what_is_written_between_a_rollbacks_plan_and_its_fence_is_announced_before_it_is_left(
    bench: _Bench, wire: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E8: the workloads run all the while."""
    bench.move()
    _behind(monkeypatch, 2, at_the_fence=5)
    with pytest.raises(VerificationError, match="5 transactions") as failed:
        bench.move(back=True)
    assert wire.host == RECOVERED_HOST
    assert "python -m dr rollback --env prod (" in failed.value.remedy
    assert failed.value.remedy.endswith("python -m dr switchover --env prod --recovered-name postgres-prod-recovered")
    # AND it goes on with the new number
    _behind(monkeypatch, 5, at_the_fence=5)
    report = bench.move(back=True)
    assert report.decision.facts["Left behind"].startswith("5 transactions")
    assert (wire.host, wire.counts) == (SOURCE_HOST, {"api": 3, "worker": 3})


def test_a_rollback_that_stopped_so_is_taken_back_by_its_own_words(
    bench: _Bench, wire: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.move()
    _behind(monkeypatch, 2, at_the_fence=5)
    with pytest.raises(VerificationError):
        bench.move(back=True)
    # WHEN the switchover that it names is done
    bench.move(to="postgres-prod-recovered")
    # THEN the Cluster that was to be left serves again, and nothing is left behind in it
    assert (wire.host, wire.counts) == (RECOVERED_HOST, {"api": 3, "worker": 3})
    assert (wire.fenced("postgres-prod"), wire.fenced("postgres-prod-recovered")) == (True, False)


def test_a_cluster_that_hibernates_is_counted_before_its_pods_go(
    bench: _Bench, wire: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E8: in the pods of a fenced one PostgreSQL's programs are there."""
    _behind(monkeypatch, 2, at_the_fence=5)
    with pytest.raises(VerificationError, match="5 transactions"):
        bench.move(hibernate=True)
    annotations = wire.objects[f"{CLUSTERS}/postgres-prod"]["metadata"]["annotations"]
    assert wire.fenced("postgres-prod")
    assert HIBERNATION not in annotations
    _behind(monkeypatch, 5, at_the_fence=5)
    report = bench.move(hibernate=True)
    assert ("fence", "postgres-prod hibernates; 5 transactions, the last at 2026-04-27 12:00:00 UTC stay there") in [
        (key, fact) for key, _, fact in report.steps
    ]
    assert wire.objects[f"{CLUSTERS}/postgres-prod"]["metadata"]["annotations"][HIBERNATION] == "on"


def test_what_cannot_be_counted_before_and_after_the_fence_is_said_in_the_report(
    bench: _Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E8: and not taken for nothing."""
    _behind(monkeypatch, None, at_the_fence=None)
    (fact,) = (fact for key, _, fact in bench.move().steps if key == "fence")
    assert "could not be counted" in fact


def test_what_was_kept_quiet_is_declared_as_it_is_used(bench: _Bench, wire: FakeEnvironment) -> None:
    """E11."""
    path = f"{CLUSTERS}/postgres-prod-recovered"
    there = wire.objects[path]
    manifest = quieted(a_recovered().manifest, subscriptions=True, libraries=())
    quiet = RecoveredCluster(manifest=manifest, limit=a_recovered().limit)
    wire.keep(path, {**there, "metadata": {**there["metadata"], "annotations": manifest["metadata"]["annotations"]}})
    wire.remember(a_record(quiet).with_verified("postgres-prod-recovered", 7))
    bench.move()
    assert [step for step in wire.did if step.startswith("declared")] == [
        "declared the Clusters",
        f"declared {RECOVERED_HOST}",
    ]
    for declared in bench.engine.declared:
        (cluster,) = declared.clusters
        parameters = (cluster.manifest["spec"].get("postgresql") or {}).get("parameters") or {}
        assert "max_logical_replication_workers" not in parameters
    # AND what is known of it is known still
    assert wire.record.verified == {"postgres-prod-recovered": 7}


def test_a_move_declares_the_clusters_as_they_are(bench: _Bench, wire: FakeEnvironment) -> None:
    """E21: instances were added by hand since the recovery."""
    for name in ("postgres-prod-recovered", "other"):
        there = wire.objects[f"{CLUSTERS}/{name}"]
        wire.keep(f"{CLUSTERS}/{name}", {**there, "spec": {**there["spec"], "instances": 9}})
    bench.move()
    for declaration in (*bench.engine.foreseen, *bench.engine.declared):
        assert [cluster.manifest["spec"]["instances"] for cluster in declaration.clusters] == [9, 9]
    assert "postgres-prod-recovered" in wire.record.verified


def test_a_service_that_was_moved_since_the_plan_ends_the_move(
    bench: _Bench, wire: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E32: the Cluster that would be fenced is not the one that is written to."""
    begun = Move.run

    def run(self: Move, context: OperationContext) -> MoveReport:
        wire.points_to("other-rw.data.svc.cluster.local")
        return begun(self, context)

    monkeypatch.setattr(Move, "run", run)
    with pytest.raises(StepFailedError) as failed:
        bench.move()
    assert failed.value.code == "service-moved"
    assert wire.did == []
    assert wire.record.came_from == ()
