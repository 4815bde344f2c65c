"""A drill as it runs: it keeps to itself, tidies up whatever happens, gives way, and leaves its report."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from dr.cli.progress import reporter_for
from dr.cnpg.progress import Failure, RecoveryProgress, Stage
from dr.core.errors import DrError, RecoveryError, StepFailedError
from dr.drill import run as drill_run
from dr.drill.plan import decide_drill
from dr.drill.report import DrillReport
from dr.drill.run import Drill
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import Ran
from dr.recovery.scratch import Scratch
from dr.run.journal import Journal
from dr.run.report_keeping import ReportData
from dr.run.session import Session
from tests.support.archives import archive, wal
from tests.support.builders import (
    BUCKET,
    NOW,
    a_backup,
    a_holder,
    a_recovered,
    a_situation,
    a_source,
    an_environment,
    as_seen,
    cluster_object,
    lease_object,
)
from tests.support.doubles import KubernetesDouble, ObjectStoreDouble, RanInPod, in_pods, said, serving
from tests.support.drills import NAME, a_drill_request, a_drill_situation
from tests.support.waiting import HANG_SECONDS

CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/data/leases"
DRILLS = "/api/v1/namespaces/data/configmaps/postgres-dr-prod-drills"
ACKNOWLEDGED = NOW - timedelta(seconds=10)
RECOVERED = NOW - timedelta(seconds=52)


@pytest.fixture
def wire() -> Iterator[KubernetesDouble]:
    with serving(KubernetesDouble()) as wire:
        yield wire


def databases(
    *,
    users: str = "100000",
    live: str = "public.users|12|10",
    recovered: str = "public.users|10|",
    amcheck: Ran | None = None,
    history: str = "1\t0/8000000\tno recovery target specified\n",
) -> Callable[[RanInPod], Ran]:
    """Databases that answer as if all were well."""

    def answer(ran: RanInPod) -> Ran:
        words, scratch = " ".join(ran.command), ran.pod.startswith(NAME)
        for mark, found in (
            ("pg_is_in_recovery", f"{users}\nf"),
            ("pg_read_file", history),
            ("pg_last_committed_xact", str(ACKNOWLEDGED.timestamp())),
            ("json_build_object", json.dumps({"name": "public.users", "size": 8192})),
            ("current_setting('track_commit_timestamp')", "on"),
            ("count(*)", recovered if scratch else live),
            ("pg_available_extensions", ""),
            ("pg_extension", "plpgsql 1.0"),
            ("pg_database_size", "2048"),
            ("data_checksums", "on|0"),
            ("server_version", "17.6"),
        ):
            if mark in words:
                return said(found)
        if "pg_amcheck" in words:
            assert scratch, "only the scratch Cluster is read page by page"
            return amcheck or said()
        raise AssertionError(f"nobody should ask {words}")

    return answer


class _Bench:
    """One drill, whose scratch Cluster is healthy as soon as it is waited for, unless ``recover`` does otherwise."""

    def __init__(
        self, api: KubernetesApi, wire: KubernetesDouble, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._api, self._folder, self._monkeypatch = api, folder, monkeypatch
        self.wire = wire
        self.stop = Event()
        self.removed: list[Event | None] = []
        self.fails_to_remove = False
        self.recover: Callable[[], None] = lambda: None
        self.ran: list[RanInPod] = []
        self.report_data = ReportData()
        wire.on(f"{CLUSTERS}/postgres-prod", cluster_object())
        wire.on(
            "/version/",
            {
                "gitVersion": "v1.34.4",
                "major": "1",
                "minor": "34",
                "gitCommit": "",
                "gitTreeState": "",
                "buildDate": "",
                "goVersion": "",
                "compiler": "",
                "platform": "",
            },
        )
        wire.on(
            "/api/v1/namespaces/data/services/prod-postgres",
            {"metadata": {}, "spec": {"type": "ExternalName", "externalName": a_situation().external_name}},
        )

    def run(
        self, answer: Callable[[RanInPod], Ran] | None = None, *, progress: RecoveryProgress | None = None
    ) -> DrillReport:
        scratch = replace(as_seen(a_recovered(NAME)), primary=f"{NAME}-1")

        def recover(self_: Scratch, check: Callable[[RecoveryProgress], None]) -> object:
            self_.progress = progress or RecoveryProgress(stage=Stage.HEALTHY, last_commit=RECOVERED, segments=3)
            self.report_data.segments = self_.progress.segments
            self.recover()
            check(self_.progress)
            return scratch

        def remove(_: Scratch, stop: Event | None = None) -> str:
            self.removed.append(stop)
            if self.fails_to_remove:
                raise StepFailedError("cluster-not-gone", "it stays", "see what holds it")
            return f"{NAME} is gone"

        self._monkeypatch.setattr(Scratch, "recover", recover)
        self._monkeypatch.setattr(Scratch, "remove", remove)
        self.ran = in_pods(self._monkeypatch, answer or databases())
        environment = an_environment()
        session = Session(environment=environment, api=self._api, holder=a_holder(), clock=lambda: NOW, stop=self.stop)
        archived = archive(a_backup(), files=wal(range(3, 8)))
        situation = a_situation(workloads={}, source=a_source(), archive=archived)
        decision = decide_drill(environment, a_drill_request(), a_drill_situation(recovery=situation))
        journal = Journal(path=self._folder / "prod.jsonl", common={}, records=None, user="ann@ops-1")
        drill = Drill(decision)
        with reporter_for(drill.plan, quiet=True) as reporter, serving(ObjectStoreDouble(bucket=BUCKET)) as store:
            self._monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
            store.add_backup("20240501T030000", "2024-05-01 03:00:33+00:00")
            return drill.run(session=session, journal=journal, reporter=reporter, report_data=self.report_data)

    def failure(self, *args: Any, **options: Any) -> DrError:
        with pytest.raises(DrError) as failed:
            self.run(*args, **options)
        return failed.value

    @property
    def report(self) -> dict[str, Any]:
        """What was kept on this machine."""
        assert self.report_data.kept_at is not None
        found: dict[str, Any] = json.loads(self.report_data.kept_at.with_suffix(".json").read_text())
        return found

    @property
    def in_cluster(self) -> dict[str, Any]:
        """What was kept in the cluster."""
        (text,) = self.wire.objects[DRILLS]["data"].values()
        found: dict[str, Any] = json.loads(text)
        return found


@pytest.fixture
def bench(api: KubernetesApi, wire: KubernetesDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Bench:
    return _Bench(api, wire, tmp_path, monkeypatch)


def findings(report: dict[str, Any]) -> dict[str, bool | None]:
    return {finding["name"]: finding["passed"] for finding in report["findings"]}


def test_a_drill_that_passes_measures_and_leaves_its_report_twice(bench: _Bench) -> None:
    report = bench.run()
    assert report.as_json()["result"] == "passed"
    kept = bench.report
    assert (kept["outcome"], kept["rto"]["until"], kept["sizes"]["walSegments"]) == ("done", "verify", 3)
    assert kept["rpo"]["seconds"] == 42.0
    assert findings(kept) == {
        "end of the WAL": True,
        "users": True,
        "out of recovery": True,
        "last transaction": None,
        "extensions": True,
        "rows": True,
        "amcheck": True,
        "page checksums": True,
        "pg_verifybackup": None,
        "all else untouched": True,
    }
    assert kept["versions"] == {"postgres-dr": "0.1.0", "Kubernetes": "v1.34.4", "PostgreSQL": "17.6"}
    assert bench.in_cluster["id"] == kept["id"]
    assert bench.removed == [None]


def test_a_drill_is_no_part_of_the_environments_history_and_holds_a_lease_of_its_own(bench: _Bench) -> None:
    held: list[str] = []
    bench.recover = lambda: held.append(
        bench.wire.objects[f"{LEASES}/postgres-dr-prod-drill"]["spec"]["holderIdentity"]
    )
    bench.run()
    assert held == [str(a_holder())]
    assert f"{LEASES}/postgres-dr-prod" not in bench.wire.objects
    assert "/api/v1/namespaces/data/configmaps/postgres-dr-prod" not in bench.wire.objects


def test_rows_that_have_to_be_there_fail_the_drill_with_everything_told_and_tidied_up(bench: _Bench) -> None:
    error = bench.failure(databases(live="public.users|12|11", users="0"))
    assert (error.code, error.exit_code) == ("drill-failed", 8)
    assert "users: 0" in error.cause
    assert "11 of the live ones are older" in error.cause
    assert len(bench.removed) == 1
    kept = bench.report
    assert (kept["outcome"], kept["failed"]["step"]) == ("failed", "examine")
    # AND how long it took is known all the same
    assert kept["rto"] is not None
    assert bench.in_cluster["outcome"] == "failed"


def test_a_drill_whose_recovery_ended_before_the_archive_does_fails_with_both_positions(bench: _Bench) -> None:
    """E1: one of ten archived segments was cut short, and the drill passed."""
    error = bench.failure(databases(history="1\t0/5000000\tno recovery target specified\n"))
    assert error.code == "drill-failed"
    assert "end of the WAL: LSN 0/5000000" in error.cause
    assert "000000010000000000000007" in error.cause


def test_damage_fails_the_drill_in_pg_amchecks_words(bench: _Bench) -> None:
    damaged = said('heap table "tomoda.public.users", block 7, offset 3:\n    xmin 0 is invalid\n', code=2)
    error = bench.failure(databases(amcheck=damaged))
    assert error.code == "drill-failed"
    assert "block 7" in error.cause


def test_a_page_that_kills_the_server_is_damage_and_not_a_check_that_was_not_possible(bench: _Bench) -> None:
    died = "btree index:\n    server closed the connection unexpectedly\n\tThis probably means the server terminated\n"
    error = bench.failure(databases(amcheck=said(died, code=1)))
    assert error.code == "drill-failed"
    assert "the server died while it read a page" in error.cause


@pytest.mark.parametrize(("code", "said_so"), [(127, "no pg_amcheck"), (1, "could not connect")])
def test_a_check_that_is_not_possible_is_said_so_and_fails_nothing(bench: _Bench, code: int, said_so: str) -> None:
    bench.run(databases(amcheck=said(code=code, errors="could not connect")))
    (told,) = (finding for finding in bench.report["findings"] if finding["name"] == "amcheck")
    assert told["passed"] is None
    assert said_so in told["value"]


def test_a_recovery_that_fails_is_tidied_up_and_nothing_is_left_to_take_back(bench: _Bench) -> None:
    def fail() -> None:
        raise RecoveryError("recovery-failed", "the base backup is broken", "see the log")

    bench.recover = fail
    error = bench.failure()
    assert (error.code, error.exit_code) == ("recovery-failed", 7)
    assert len(bench.removed) == 1
    assert error.stopped is not None
    assert error.stopped.at.undo == ()
    assert error.stopped.report == str(bench.report_data.kept_at)


def test_a_recovery_whose_attempts_fail_is_given_up_without_waiting_for_the_last(bench: _Bench) -> None:
    failure = Failure(code="recovery-failed", cause="the recovery failed: tar", remedy="see", final=False)
    once = RecoveryProgress(failure=failure, failed_pods=frozenset({"a"}), last_commit=RECOVERED)
    bench.run(progress=once)
    error = bench.failure(progress=replace(once, failed_pods=frozenset({"a", "b"})))
    assert "tar, 2 times" in error.cause


def test_told_to_stop_it_still_tidies_up(bench: _Bench) -> None:
    bench.recover = bench.stop.set
    error = bench.failure()
    assert error.code == "interrupted"
    (used,) = bench.removed
    assert used is not None
    assert not used.is_set()
    assert bench.report["outcome"] == "interrupted"


def test_it_gives_way_to_whoever_begins_an_operation(bench: _Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill_run, "_LOOK_SECONDS", 0.01)

    def incident() -> None:
        bench.wire.keep(f"{LEASES}/postgres-dr-prod", lease_object("bob@ops-2:8"))
        assert bench.stop.wait(HANG_SECONDS)

    bench.recover = incident
    error = bench.failure()
    assert error.code == "gave-way"
    assert "bob@ops-2:8" in error.cause
    assert len(bench.removed) == 1
    assert bench.report["failed"]["code"] == "gave-way"


def test_it_gives_way_to_whoever_renews_the_lease_whatever_the_clocks_say(
    bench: _Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E30."""
    monkeypatch.setattr(drill_run, "_LOOK_SECONDS", 0.01)

    def incident() -> None:
        # An hour behind this machine's clock: expired by that, and renewed all the same.
        for second in range(int(HANG_SECONDS * 20)):
            renewed = NOW - timedelta(hours=1) + timedelta(seconds=second)
            bench.wire.keep(f"{LEASES}/postgres-dr-prod", lease_object("bob@ops-2:8", renewed))
            if bench.stop.wait(0.05):
                return
        raise AssertionError("it did not give way")

    bench.recover = incident
    assert bench.failure().code == "gave-way"


def test_what_cannot_be_tidied_up_is_told_with_the_command(bench: _Bench) -> None:
    bench.fails_to_remove = True
    error = bench.failure(databases(users="0"))
    assert error.code == "drill-failed"
    assert error.stopped is not None
    undo = [command for step in error.stopped.done for command in step.undo]
    assert f"delete cluster {NAME}" in undo[0]
    assert any("could not be deleted" in line for line in bench.report["lost"])


def test_a_cluster_that_keeps_no_report_fails_no_drill(bench: _Bench) -> None:
    bench.wire.on("/api/v1/namespaces/data/configmaps", {"kind": "Status"}, status=403, method="POST")
    assert bench.run().as_json()["result"] == "passed"


def test_another_drill_under_way_is_not_disturbed(bench: _Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a lease that is renewed while it is watched
    path = f"{LEASES}/postgres-dr-prod-drill"
    bench.wire.keep(path, lease_object("cron@pod:1"))
    monkeypatch.setattr(
        bench.stop,
        "wait",
        lambda _=None: bool(bench.wire.keep(path, lease_object("cron@pod:1", NOW + timedelta(seconds=5)))) and False,
    )
    assert bench.failure().code == "another-operator"
    assert bench.removed == []
