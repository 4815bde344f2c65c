"""Decisions of every operation, in situations in which its plans differ, for what is asked of all plans."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from dr.archive.contents import Catalogue
from dr.drill.plan import DrillDecision, decide_drill
from dr.drill.report import DrillReport
from dr.drill.run import Drill
from dr.extract.plan import ExtractDecision, decide_extraction
from dr.extract.report import Extracted, ExtractReport
from dr.extract.run import Extract
from dr.finalize.dependants import Dependant
from dr.finalize.plan import FinalizeDecision, decide_finalization
from dr.finalize.preconditions import FinalizeRequest, GitSeen
from dr.finalize.report import FinalizeReport
from dr.finalize.run import Finalize
from dr.gitops.argocd import Manager
from dr.postgres.table_name import TableName
from dr.rebuild.data_origin import Origin, OriginVerdict
from dr.rebuild.plan import RebuildDecision, RebuildRequest, decide_rebuild
from dr.rebuild.report import RebuildReport
from dr.rebuild.run import Rebuild
from dr.recovery.plan import RecoveryDecision
from dr.recovery.report import RecoveryReport
from dr.recovery.run import Recovery
from dr.reports.document import FindingLine
from dr.run.operation import Operation
from dr.switchover.plan import MoveDecision
from dr.switchover.report import MoveReport
from dr.switchover.run import Move
from dr.traffic.writer_model import BackgroundWriter
from tests.support.archives import archive, backup, wal
from tests.support.builders import (
    NOW,
    SOURCE_HOST,
    TARGET,
    a_decision,
    a_finalize_situation,
    a_move,
    a_record,
    a_recovered,
    a_rewriting,
    a_scheduled_backup,
    a_situation,
    a_source,
    a_traffic_situation,
    a_workload,
    an_entry,
    an_environment,
    as_seen,
)
from tests.support.drills import NAME, a_drill_request, a_drill_situation
from tests.support.extractions import a_table, an_extract_request, an_extract_situation, live_seen
from tests.support.rebuilds import a_rebuild, a_rebuild_situation

GIT = GitSeen(root="/src/platform", revision="c0ffee" * 7, branch="b", rewriting=a_rewriting("cluster.yaml"))
CRON_JOB = BackgroundWriter(kind="CronJob", namespace="prod", name="report", setting=None)
POOLER = BackgroundWriter(kind="Pooler", namespace="data", name="pool", setting=None, cluster="postgres-prod")


def a_manager(**automated: Any) -> Manager:
    """An Application that syncs by itself."""
    raw = {"kind": "Application", "metadata": {"name": "shop", "namespace": "argocd"}}
    return Manager.from_object({**raw, "spec": {"syncPolicy": {"automated": {"selfHeal": True, **automated}}}})


def operation_of(decision: Any) -> Operation:
    """The operation that does what was decided."""
    kinds: dict[type, Callable[[Any], Operation]] = {
        RecoveryDecision: Recovery,
        MoveDecision: Move,
        FinalizeDecision: Finalize,
        ExtractDecision: Extract,
        DrillDecision: Drill,
        RebuildDecision: Rebuild,
    }
    return kinds[type(decision)](decision)


def decisions() -> Iterator[tuple[str, Any]]:
    """Each with its name."""
    yield from _recoveries()
    yield from _moves()
    yield from _finalizations()
    yield from _extractions()
    for name, request, situation in (
        ("latest", {}, {}),
        ("target", {"target": TARGET, "quick": True}, {"orphans": ("old-drill", NAME)}),
    ):
        yield (
            f"drill-{name}",
            decide_drill(an_environment(), a_drill_request(**request), a_drill_situation(**situation)),
        )
    yield "rebuild", a_rebuild(history=(an_entry("full-rebuild"),))
    moved = RebuildRequest(region="europe-west4")
    yield "rebuild-region", decide_rebuild(an_environment(smokeTestUrl=None), moved, a_rebuild_situation())


def _recoveries() -> Iterator[tuple[str, Any]]:
    yield "pitr", a_decision(a_situation(argocd=(a_manager(),), background_writers=(CRON_JOB, POOLER)))
    gave_up = a_situation(recovered=as_seen(a_recovered(), healthy=False), recovered_gave_up=True)
    yield "pitr-given-up", a_decision(gave_up, go_on=True, expects=TableName.parse("public.users"))
    yield "pitr-dead-source", a_decision(a_situation(database_time=None))
    yield "latest", a_decision(target=None, switchover=True)
    held = archive(backup(3), files=wal(range(3, 200)))
    catalogue = Catalogue(server_name="postgres-prod", backups=held.backups, server_names=frozenset({"postgres-prod"}))
    yield "latest-fetched-ahead", a_decision(a_situation(archive=held, catalogue=catalogue), target=None, seal=False)


def _moves() -> Iterator[tuple[str, Any]]:
    writing = {"argocd": (a_manager(),), "background_writers": (CRON_JOB, POOLER)}
    yield "switchover", a_move(a_traffic_situation(**writing))
    yield "switchover-hibernate", a_move(environment=an_environment(smokeTestUrl=None), hibernate=True)
    yield "switchover-from-nowhere", a_move(a_traffic_situation(old_cluster=None, external_name="db.acme.test"))
    record = a_record(a_recovered(), replicas={"api": 5}).leaving(SOURCE_HOST, towards="x")
    moved = a_traffic_situation(
        old_cluster=as_seen(a_recovered()),
        new_cluster=a_source(),
        workloads={"api": a_workload("api", 0)},
        record=record,
    )
    yield "rollback", a_move(moved, back=True)
    yield "rollback-argocd", a_move(replace(moved, argocd=(a_manager(enabled=False),)), back=True)


def _finalizations() -> Iterator[tuple[str, Any]]:
    checkout = FinalizeRequest(checkout="/src/platform", push=True)
    with_git = an_environment(git={"manifests": "k8s/postgres"})
    argocd = (a_manager(enabled=False),)
    yield "finalize", decide_finalization(an_environment(), FinalizeRequest(), a_finalize_situation(own_backup=""))
    database = Dependant.from_object(
        "Database",
        {
            "apiVersion": "postgresql.cnpg.io/v1",
            "metadata": {"name": "shop", "namespace": "data", "uid": "d", "finalizers": ["cnpg.io/x"]},
            "spec": {"cluster": {"name": "postgres-prod"}},
        },
    )
    late = a_finalize_situation(dependants=(a_scheduled_backup(), database), git=GIT)
    yield "finalize-git", decide_finalization(with_git, checkout, late)
    yield "finalize-proposal", decide_finalization(with_git, checkout, a_finalize_situation(git=GIT, argocd=argocd))
    merged = replace(GIT, rewriting=a_rewriting())
    done = a_finalize_situation(git=merged, argocd=argocd, former=(), dependants=())
    yield "finalize-merged", decide_finalization(with_git, checkout, done)


def _extractions() -> Iterator[tuple[str, Any]]:
    yield "extract", decide_extraction(an_environment(), an_extract_request(), an_extract_situation())
    swap = an_extract_request(swap=True, keep_scratch=True)
    there = an_extract_situation(live_seen(table=a_table()))
    yield "extract-swap", decide_extraction(an_environment(), swap, there)
    asked = an_extract_request(swap=True, seal=False)
    yield "extract-swap-of-dropped", decide_extraction(an_environment(), asked, an_extract_situation())
    entry = an_entry("extract", go_on=an_extract_request().command(an_environment()))
    entry = entry.step_started("place", entry.started).step_done("", entry.started)
    recovery = a_situation(record=a_record().with_operation(entry))
    placed = an_extract_situation(live_seen(recovered=16500), recovery=recovery)
    yield "extract-placed", decide_extraction(an_environment(), an_extract_request(), placed)


def reports() -> Iterator[tuple[str, Any]]:
    """A report of every operation, each with its name."""
    decided = dict(decisions())
    common: dict[str, Any] = {
        "environment": an_environment(),
        "started": NOW,
        "seconds": 41.23456,
        "steps": (("remember", 0.12345, "api 3"), ("recover", 35.5, "healthy")),
        "journal": "/state/journal/prod.jsonl",
    }
    findings = (("users", "100000", True), ("PostGIS", "3.5", None))
    yield "recovery", RecoveryReport(decision=decided["pitr"], cluster_seconds=35.5, findings=findings, **common)
    yield "move", MoveReport(decision=decided["switchover"], smoke="200", **common)
    yield "finalize", FinalizeReport(decision=decided["finalize-git"], **common)
    extracted = Extracted(rows=3, size=2**20, kept="users_before_x", recover_seconds=3.456)
    yield "extract", ExtractReport(decision=decided["extract-swap"], extracted=extracted, **common)
    lines = tuple(FindingLine(name=name, value=value, passed=passed) for name, value, passed in findings)
    yield "drill", DrillReport(decision=decided["drill-latest"], findings=lines, rto=None, rpo=None, **common)
    origin = OriginVerdict(origin=Origin.FRESH, evidence=("another system identifier",))
    serving: dict[str, Any] = {"serving": "postgres-prod-recovered", "smoke": "200"}
    yield (
        "rebuild",
        RebuildReport(
            decision=decided["rebuild"],
            estimate=Rebuild(decided["rebuild"]).estimate,
            origin=origin,
            **serving,
            **common,
        ),
    )
