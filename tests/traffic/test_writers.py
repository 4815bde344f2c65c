"""What starts by itself: found, held with its setting remembered, and let go as it was."""

from collections.abc import Iterator
from typing import Any

import pytest

from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from dr.kube.objects import ObjectKey
from dr.run.record import Record
from dr.run.session import Session
from dr.switchover.run import Move
from dr.traffic.steps import ResumeBackgroundWriters, suspend_where_needed
from dr.traffic.writer_model import BackgroundWriter, to_release
from dr.traffic.writers import list_background_writers, resume, suspend
from tests.support.builders import NOW, a_holder, a_move, an_environment
from tests.support.doubles import Asked, Impatient, KubernetesDouble, kube_status, serving

CRON_JOBS = "/apis/batch/v1/namespaces/prod/cronjobs"
JOBS = "/apis/batch/v1/namespaces/prod/jobs"
AUTOSCALERS = "/apis/autoscaling/v2/namespaces/prod/horizontalpodautoscalers"
POOLERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/poolers"
PODS = "/api/v1/namespaces/prod/pods"
RECORD = "/api/v1/namespaces/data/configmaps/postgres-dr-prod"


class _World(KubernetesDouble):
    """Patches what it keeps as a merge patch does. ``pods`` are how many pods a Job has left at each look."""

    def __init__(self) -> None:
        super().__init__()
        self.pods: list[int] = []
        self.on_patch: dict[str, dict[str, Any]] = {}

    def one(self, collection: str, name: str, **spec: Any) -> None:
        namespace = collection.split("/")[5]
        metadata: dict[str, Any] = {"name": name, "namespace": namespace}
        if collection == JOBS:
            metadata["ownerReferences"] = [{"kind": "CronJob", "name": name.rsplit("-", 1)[0]}]
        self.keep(f"{collection}/{name}", {"metadata": metadata, "spec": spec})

    def spec(self, collection: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.objects[f"{collection}/{name}"]["spec"]
        return found

    @property
    def record(self) -> Record:
        return Record.model_validate_json(self.objects[RECORD]["data"]["record.json"])

    def _answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        if asked.path == PODS:
            running = self.pods.pop(0) if self.pods else 0
            return 200, {"items": [{"metadata": {"name": "p"}, "status": {"phase": "Running"}}] * running}
        if asked.method != "PATCH":
            return super()._answer(asked)
        if asked.path not in self.objects:
            return 404, kube_status(404, "not found", name="x")
        for path, created in self.on_patch.items():
            self.keep(path, created)
        there = self.objects[asked.path]
        return 200, self.keep(asked.path, {**there, "spec": _merged(there["spec"], asked.body["spec"])})


def _merged(there: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    merged = dict(there)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(there.get(key, {}), value) if isinstance(value, dict) else value
    return merged


@pytest.fixture
def wire(own_home: object) -> Iterator[_World]:
    with serving(_World()) as world:
        world.one(CRON_JOBS, "report", schedule="0 4 * * *")
        world.one(CRON_JOBS, "resting", schedule="0 5 * * *", suspend=True)
        world.one(POOLERS, "pool", cluster={"name": "postgres-prod"}, pgbouncer={"poolMode": "session"})
        world.one(POOLERS, "other", cluster={"name": "else"}, pgbouncer={})
        for name, minimum in (("api", 2), ("worker", 0)):
            target = {"kind": "Deployment", "name": name}
            world.one(AUTOSCALERS, name, scaleTargetRef=target, minReplicas=minimum)
        world.one(AUTOSCALERS, "web", scaleTargetRef={"kind": "Deployment", "name": "web"}, minReplicas=0)
        yield world


@pytest.fixture
def session(api: KubernetesApi) -> Session:
    return Session(environment=an_environment(), api=api, holder=a_holder(), clock=lambda: NOW, stop=Impatient())


def found(session: Session, *clusters: str) -> tuple[BackgroundWriter, ...]:
    return list_background_writers(session.api, session.environment, clusters or ("postgres-prod",))


def test_what_could_start_a_writer_is_found_and_nothing_else(session: Session, wire: _World) -> None:
    wire.one(JOBS, "report-1")
    wire.one(JOBS, "report-0")
    wire.objects[f"{JOBS}/report-0"]["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    wire.one(JOBS, "by-hand-1")
    del wire.objects[f"{JOBS}/by-hand-1"]["metadata"]["ownerReferences"]
    assert {str(one): one.held for one in found(session)} == {
        "CronJob prod/report": False,
        "CronJob prod/resting": True,
        "Job prod/report-1": False,
        "HorizontalPodAutoscaler prod/api": True,
        "HorizontalPodAutoscaler prod/worker": False,
        "Pooler data/pool": False,
    }


def test_a_platform_without_poolers_has_none(session: Session, wire: _World) -> None:
    wire.on(POOLERS, b"404 page not found\n", status=404)
    assert not [one for one in found(session) if one.kind == "Pooler"]


def test_a_list_that_is_forbidden_is_told_and_not_taken_for_an_empty_one(session: Session, wire: _World) -> None:
    wire.on(POOLERS, kube_status(403, "poolers is forbidden"), status=403)
    with pytest.raises(AccessError) as failed:
        found(session)
    assert failed.value.code == "forbidden"


def test_a_hold_stops_them_and_remembers_what_was_set(session: Session, wire: _World) -> None:
    suspend(session, found(session))
    assert wire.spec(CRON_JOBS, "report")["suspend"] is True
    assert wire.spec(POOLERS, "pool")["pgbouncer"] == {"poolMode": "session", "paused": True}
    assert (wire.spec(AUTOSCALERS, "worker")["minReplicas"], wire.spec(AUTOSCALERS, "api")["minReplicas"]) == (1, 2)
    assert wire.record.held == {
        "CronJob prod/report": None,
        "HorizontalPodAutoscaler prod/worker": 0,
        "Pooler data/pool": None,
    }


def test_a_job_that_runs_is_suspended_and_its_pods_are_waited_for(session: Session, wire: _World) -> None:
    wire.one(JOBS, "report-1")
    wire.pods = [1, 1]
    suspend(session, found(session))
    assert wire.spec(JOBS, "report-1")["suspend"] is True
    assert wire.pods == []


def test_a_job_that_begins_at_the_last_moment_is_held_too(session: Session, wire: _World) -> None:
    # GIVEN a CronJob that fires after the look, before it is suspended
    seen = found(session)
    metadata = {"name": "report-9", "namespace": "prod", "ownerReferences": [{"kind": "CronJob", "name": "report"}]}
    wire.on_patch = {f"{JOBS}/report-9": {"metadata": metadata, "spec": {}}}
    # WHEN
    suspend(session, seen)
    # THEN
    assert wire.spec(JOBS, "report-9")["suspend"] is True
    assert wire.record.held["Job prod/report-9"] is None


def test_a_hold_that_is_repeated_keeps_what_was_before_the_first(session: Session, wire: _World) -> None:
    suspend(session, found(session))
    suspend(session, found(session))
    assert wire.record.held["HorizontalPodAutoscaler prod/worker"] == 0


def test_what_somebody_let_go_since_the_plan_is_held_too(session: Session, wire: _World) -> None:
    """E32."""
    path = f"{CRON_JOBS}/report"
    running = wire.objects[path]
    wire.keep(path, {**running, "spec": {**running["spec"], "suspend": True}})
    planned = found(session)
    wire.keep(path, running)
    suspend(session, planned)
    assert wire.spec(CRON_JOBS, "report")["suspend"] is True
    assert "CronJob prod/report" in wire.record.held


def test_all_is_let_go_as_it_was(session: Session, wire: _World) -> None:
    before = {path: kept["spec"] for path, kept in wire.objects.items()}
    suspend(session, found(session))
    resume(session, "postgres-prod")
    assert {path: wire.objects[path]["spec"] for path in before} == before
    assert wire.record.held == {}


def test_a_pooler_of_a_cluster_that_was_left_stays_paused_until_the_way_back(session: Session, wire: _World) -> None:
    suspend(session, found(session))
    resume(session, "postgres-prod-recovered")
    assert wire.spec(CRON_JOBS, "report").get("suspend") is None
    assert wire.spec(POOLERS, "pool")["pgbouncer"]["paused"] is True
    assert wire.record.held == {"Pooler data/pool": None}
    resume(session, "postgres-prod")
    assert wire.spec(POOLERS, "pool")["pgbouncer"] == {"poolMode": "session"}


def test_what_somebody_deleted_meanwhile_is_no_obstacle(session: Session, wire: _World) -> None:
    seen = found(session)
    del wire.objects[f"{CRON_JOBS}/report"]
    suspend(session, seen)
    resume(session, "postgres-prod")
    assert wire.spec(POOLERS, "pool")["pgbouncer"] == {"poolMode": "session"}


def test_argo_cd_is_asked_about_them_by_their_own_kinds() -> None:
    job = BackgroundWriter(kind="CronJob", namespace="prod", name="report", setting=None)
    assert job.key == ObjectKey("batch", "CronJob", "prod", "report")


def test_a_plan_names_what_is_held_and_what_is_let_go() -> None:
    resting = BackgroundWriter(kind="CronJob", namespace="prod", name="resting", setting=True)
    report = BackgroundWriter(kind="CronJob", namespace="prod", name="report", setting=None)
    pool = BackgroundWriter(kind="Pooler", namespace="data", name="pool", setting=None, cluster="postgres-prod")
    op = Move(a_move())
    (step,) = suspend_where_needed(op, [resting, report, pool])
    assert step.detail() == "suspend CronJob prod/report, pause Pooler data/pool"
    assert list(suspend_where_needed(op, [resting])) == []
    held = {str(report): None, str(pool): None}
    assert to_release([resting, report, pool], held, serving="postgres-prod-recovered") == (report,)
    assert ResumeBackgroundWriters(op, [report], serving="postgres-prod").detail() == "as before: CronJob prod/report"
