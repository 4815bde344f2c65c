"""From symptoms to the rows of the failure table."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dr.cnpg.cluster import Archiving
from dr.config.environment import Environment
from dr.diagnose.diagnosis import Diagnosis, diagnose
from dr.diagnose.failure_table import ROWS
from dr.diagnose.symptoms import (
    KUBERNETES_PARTS,
    ClustersSeen,
    Incident,
    KubernetesSeen,
    NodeSeen,
    PodSeen,
    Silence,
    Symptoms,
)
from tests.support.builders import NOW, a_source, an_entry, an_environment

REGION = "asia-northeast1"
NO_API = Silence(code="api-unreachable", cause="the API server https://10.0.0.1 cannot be reached")
NO_BUCKET = Silence(code="bucket-unreachable", cause="the bucket cannot be reached: 503")
NO_PAGE = Silence(code="status-page-unreachable", cause="no route")
INCIDENT = Incident(
    what="Elevated errors",
    regions=frozenset({REGION}),
    products=("Google Kubernetes Engine", "Google Cloud Storage"),
    began=NOW,
    page="https://status.test/incidents/1",
)
NODE = NodeSeen(name="n1", ready=True, spot=True, ending=False, region=REGION, since=NOW, reason="")
POD = PodSeen(
    name="api-1",
    namespace="prod",
    cluster="",
    ready=True,
    phase="Running",
    container="api",
    restarts=0,
    waiting="",
    ended="",
    exit_code=None,
    ended_at=None,
    unschedulable="",
    node_ended=False,
)
DATABASE_POD = replace(POD, name="postgres-prod-1", namespace="data", cluster="postgres-prod")


def _kubernetes(**changes: Any) -> KubernetesSeen:
    plain = KubernetesSeen(
        nodes=(NODE,),
        pods=(POD, DATABASE_POD),
        clusters=ClustersSeen(found=(a_source(),)),
        serving="postgres-prod",
        unfinished=None,
    )
    return replace(plain, **changes)


def _diagnose(environment: Environment | None = None, **changes: Any) -> Diagnosis:
    """Of a platform that is well, but for ``changes``."""
    plain = Symptoms(
        seen_at=NOW, kubernetes=_kubernetes(), bucket=None, incidents=(), health='200 {"users": 1}', region=REGION
    )
    return diagnose(environment or an_environment(), replace(plain, **changes))


def _rows(diagnosis: Diagnosis) -> list[tuple[str, bool]]:
    return [(finding.row.key, finding.proven) for finding in diagnosis.findings]


def test_of_a_platform_that_is_well_nothing_is_told() -> None:
    found = _diagnose()
    assert (found.findings, found.notes) == ((), ())


def test_a_crash_loop_recovers_by_itself_and_its_last_words_are_asked_for() -> None:
    pod = replace(POD, ready=False, restarts=7, waiting="CrashLoopBackOff", ended="OOMKilled", exit_code=137)
    (finding,) = _diagnose(kubernetes=_kubernetes(pods=(pod,))).findings
    assert finding.row.key == "pod-crash"
    assert "CrashLoopBackOff, restarted 7 times, its container ended with 137 (OOMKilled)" in finding.seen
    assert finding.command == "kubectl --context acme-prod -n prod logs api-1 --all-containers --previous"
    assert "automatically" in finding.row.recovers


def test_a_container_that_has_just_been_started_again_is_told_and_an_old_restart_is_not() -> None:
    lately = replace(POD, restarts=1, ended="Error", exit_code=1, ended_at=NOW - timedelta(minutes=2))
    long_ago = replace(lately, ended_at=NOW - timedelta(hours=2))
    done = replace(lately, exit_code=0)
    assert _rows(_diagnose(kubernetes=_kubernetes(pods=(lately,)))) == [("pod-crash", True)]
    assert _rows(_diagnose(kubernetes=_kubernetes(pods=(long_ago, done)))) == []


def test_an_image_that_cannot_be_had_does_not_mend_itself() -> None:
    pod = replace(POD, ready=False, waiting="ImagePullBackOff")
    (finding,) = _diagnose(kubernetes=_kubernetes(pods=(pod,))).findings
    assert finding.command.endswith("-n prod describe pod api-1")
    assert "does not recover without help" in finding.unless


@pytest.mark.parametrize(
    "line",
    [
        '{"level":"info","record":{"error_severity":"PANIC","message":"could not locate a valid checkpoint record"}}',
        'ERROR:  invalid page in block 7 of relation "base/16385/16388"',
        'ERROR:  could not read blocks 3..3 in file "base/16385/16388": read only 0 of 8192 bytes',
    ],
)
def test_a_database_that_finds_its_files_damaged_is_corrupt_and_not_a_mere_crash(line: str) -> None:
    pod = replace(DATABASE_POD, ready=False, restarts=5, waiting="CrashLoopBackOff", last_words=("fine", line))
    (finding,) = _diagnose(kubernetes=_kubernetes(pods=(pod,))).findings
    assert (finding.row.key, finding.command) == ("data-corruption", "python -m dr latest --env prod")
    assert "pitr --env prod --target-time TIME" in finding.unless


def test_words_of_damage_in_another_pod_say_nothing_of_the_database() -> None:
    pod = replace(POD, ready=False, waiting="CrashLoopBackOff", last_words=("PANIC: out of coffee",))
    assert _rows(_diagnose(kubernetes=_kubernetes(pods=(pod,)))) == [("pod-crash", True)]


def test_a_spot_node_that_is_gone_is_a_preemption_and_any_other_a_node() -> None:
    spot = replace(NODE, name="spot-1", ready=False, reason="Kubelet stopped posting node status.")
    other = replace(spot, name="n2", spot=False)
    assert _rows(_diagnose(kubernetes=_kubernetes(nodes=(spot,)))) == [("spot-preemption", True)]
    (finding,) = _diagnose(kubernetes=_kubernetes(nodes=(other,))).findings
    assert finding.row.key == "node-not-ready"
    assert finding.seen == "the node n2 is not ready since 12:00:00 UTC: Kubelet stopped posting node status."
    assert finding.command == "kubectl --context acme-prod delete node n2"


def test_a_spot_node_that_is_about_to_be_taken_away_is_seen_before_it_goes() -> None:
    assert _rows(_diagnose(kubernetes=_kubernetes(nodes=(replace(NODE, ending=True),)))) == [("spot-preemption", True)]


def test_pods_whose_node_ended_or_that_find_none_belong_to_the_preemption() -> None:
    ended = replace(POD, ready=False, phase="Failed", node_ended=True)
    pending = replace(DATABASE_POD, ready=False, phase="Pending", unschedulable="0/1 nodes are available")
    found = _diagnose(kubernetes=_kubernetes(pods=(ended, pending)))
    assert _rows(found) == [("spot-preemption", True)] * 2
    assert "finds no node: 0/1 nodes are available" in found.findings[1].seen


def test_an_api_that_is_silent_alone_is_no_proof_and_google_is_to_be_asked() -> None:
    """O3."""
    found = _diagnose(kubernetes=NO_API)
    (finding,) = found.findings
    assert (finding.row.key, finding.proven) == ("this-machine", False)
    assert finding.command == "gcloud container clusters list --project acme-project"
    assert "does not prove" in finding.unless
    assert "nodes, pods and the database were not looked at" in found.notes
    assert found.looked == ("the bucket", "the application", "Google's status page")
    assert set(found.unobserved) == set(KUBERNETES_PARTS)


@pytest.mark.parametrize("code", ["google-credentials", "bucket-unreachable"])
def test_a_login_that_fails_is_no_answer_of_googles(code: str) -> None:
    """O3."""
    found = _diagnose(kubernetes=NO_API, bucket=Silence(code=code, cause="the login fails"), incidents=NO_PAGE)
    assert {finding.row.key for finding in found.findings} == {"this-machine"}
    assert not any("full-rebuild" in finding.command for finding in found.findings)


def test_an_api_that_answers_with_errors_is_ill_and_says_nothing_of_the_database() -> None:
    """O3."""
    found = _diagnose(kubernetes=Silence(code="api-error", cause="500 etcd"))
    assert _rows(found) == [("control-plane", False)]
    assert set(found.unobserved) == set(KUBERNETES_PARTS)


def test_google_knows_whether_a_silent_cluster_is_gone() -> None:
    (gone,) = _diagnose(kubernetes=NO_API, gke="GONE").findings
    assert (gone.row.key, gone.proven) == ("cluster-destroyed", True)
    (there,) = _diagnose(kubernetes=NO_API, gke="RECONCILING").findings
    assert (there.row.key, there.proven) == ("this-machine", False)
    assert "RECONCILING" in there.seen


def test_an_api_and_a_bucket_that_are_silent_together_are_a_region() -> None:
    found = _diagnose(kubernetes=NO_API, bucket=NO_BUCKET, incidents=(INCIDENT,))
    assert _rows(found) == [("region-outage", True), ("bucket", False), ("this-machine", False)]
    assert found.findings[0].command == "python -m dr full-rebuild --env prod --region REGION --dry-run"
    assert "Elevated errors (Google Kubernetes Engine, Google Cloud Storage)" in found.findings[0].seen


def test_without_a_word_of_google_a_region_is_only_likely() -> None:
    found = _diagnose(kubernetes=NO_API, bucket=NO_BUCKET).findings[0]
    assert (found.row.key, found.proven, found.command) == ("region-outage", False, "python -m dr diagnose --env prod")


def test_an_incident_in_the_region_is_told_though_everything_answers_and_one_elsewhere_is_not() -> None:
    elsewhere = replace(INCIDENT, regions=frozenset({"us-east1"}))
    assert _rows(_diagnose(incidents=(INCIDENT, elsewhere))) == [("region-outage", False)]
    assert _rows(_diagnose(incidents=(elsewhere,))) == []
    assert _rows(_diagnose(incidents=(replace(INCIDENT, regions=frozenset({"global"})),))) == [("region-outage", False)]


def test_where_the_region_is_not_known_incidents_are_a_note() -> None:
    found = _diagnose(kubernetes=NO_API, incidents=(INCIDENT,), region="")
    assert _rows(found) == [("this-machine", False)]
    assert "Google reports 1 incidents, and the region of prod is not known here" in found.notes


def test_when_nothing_at_all_answers_it_is_this_machine_first() -> None:
    found = _diagnose(kubernetes=NO_API, bucket=NO_BUCKET, incidents=NO_PAGE, health="nothing: no route")
    assert _rows(found) == [("this-machine", False)]
    assert "VPN" in found.findings[0].unless


@pytest.mark.parametrize("code", ["token-expired", "kubeconfig-missing", "context-missing"])
def test_who_is_not_let_in_is_told_so_and_no_cluster_is_called_gone(code: str) -> None:
    found = _diagnose(kubernetes=Silence(code=code, cause="not let in"))
    assert _rows(found) == [("this-machine", False)]
    assert code in found.findings[0].unless


def test_a_bucket_that_is_silent_alone_recovers_by_itself_and_one_that_is_gone_does_not() -> None:
    (silent,) = _diagnose(bucket=NO_BUCKET).findings
    assert (silent.row.key, silent.proven) == ("bucket", False)
    assert silent.command == "gcloud storage ls gs://backups-of-acme/prod/"
    (gone,) = _diagnose(bucket=Silence(code="bucket-missing", cause="there is no bucket")).findings
    assert gone.proven
    assert "soft-deleted" in gone.command
    assert _rows(_diagnose(bucket=Silence(code="bucket-forbidden", cause="no"))) == [("this-machine", False)]


def test_where_nothing_is_at_google_no_command_of_google_is_advised() -> None:
    environment = an_environment(gcpProject=None, backup={"destinationPath": "s3://acme/prod"})
    lost = Silence(code="bucket-missing", cause="there is no bucket")
    found = _diagnose(environment=environment, kubernetes=NO_API, bucket=lost)
    told = " ".join(f"{finding.command} {finding.unless}" for finding in found.findings)
    assert "aws s3 ls s3://acme/prod/" in told
    assert not any(word in told for word in ("gcloud", "full-rebuild"))


def test_a_database_that_archives_nothing_is_told_with_its_reason() -> None:
    cluster = replace(a_source(), archiving=Archiving(working=False, message="exit status 4"))
    (finding,) = _diagnose(kubernetes=_kubernetes(clusters=ClustersSeen(found=(cluster,)))).findings
    assert (finding.row.key, finding.seen) == ("archive", "postgres-prod archives no WAL: exit status 4")
    assert finding.command == "kubectl --context acme-prod -n data logs postgres-prod-1"


def test_a_database_before_another_ones_archive_never_recovers() -> None:
    cluster = replace(a_source(), archiving=Archiving(working=False, message="Expected empty archive"))
    (finding,) = _diagnose(kubernetes=_kubernetes(clusters=ClustersSeen(found=(cluster,)))).findings
    assert "does not recover automatically" in finding.unless


def test_a_cluster_that_is_missing_is_recovered_and_one_at_work_is_waited_for() -> None:
    (missing,) = _diagnose(kubernetes=_kubernetes(clusters=ClustersSeen())).findings
    assert (missing.row.key, missing.command) == ("data-corruption", "python -m dr latest --env prod")
    at_work = replace(a_source(), ready=False, phase="Failing over")
    (waited,) = _diagnose(kubernetes=_kubernetes(clusters=ClustersSeen(found=(at_work,)))).findings
    assert (waited.row.key, waited.seen) == ("pod-crash", "CloudNativePG is changing postgres-prod: Failing over")


def test_without_the_operator_the_platform_is_rebuilt() -> None:
    found = _diagnose(kubernetes=_kubernetes(clusters=ClustersSeen(installed=False)))
    assert _rows(found) == [("cluster-destroyed", True)]


def test_what_may_not_be_looked_at_is_no_finding() -> None:
    """O3."""
    unobserved = ("the Clusters",)
    seen = _kubernetes(clusters=ClustersSeen(looked=False), unseen=("clusters is forbidden",), unobserved=unobserved)
    found = _diagnose(kubernetes=seen)
    assert (found.findings, found.notes, found.unobserved) == ((), ("clusters is forbidden",), unobserved)


def test_a_relation_that_the_application_misses_is_a_dropped_table() -> None:
    found = _diagnose(health=r'503 {"error": "relation \"users\" does not exist\nLINE 1: SELECT"}')
    (finding,) = found.findings
    assert finding.row.key == "table-drop"
    assert finding.command == "python -m dr pitr --env prod --before-drop public.users"
    assert "extract" in finding.unless
    assert found.notes == (f"the application answers {found.findings[0].seen.removeprefix('the application says: ')}",)


def test_a_schema_that_the_application_names_is_kept() -> None:
    (finding,) = _diagnose(health='503 relation "shop.users" does not exist').findings
    assert finding.command.endswith("--before-drop shop.users")


def test_damage_that_the_application_meets_is_corruption() -> None:
    assert _rows(_diagnose(health="503 invalid page in block 3")) == [("data-corruption", True)]


def test_an_operation_that_is_not_finished_is_told_as_it_stops_writers() -> None:
    (note,) = _diagnose(kubernetes=_kubernetes(unfinished=an_entry())).notes
    assert note.endswith("python -m dr resume --env prod")


def test_what_it_says_can_be_read_by_programs() -> None:
    told = _diagnose(kubernetes=NO_API).as_json()
    assert told["environment"] == "prod"
    assert {"row", "scenario", "seen", "proven", "recovers", "downtime", "command", "unless"} <= set(
        told["findings"][0]
    )


def test_the_runbooks_rows_are_all_there() -> None:
    assert sorted(row.scenario for row in ROWS if row.of_the_runbook) == [
        "Accidental table drop",
        "DB data corruption",
        "GCP region outage",
        "GKE cluster destroyed",
        "Pod crash",
        "Spot node preemption",
    ]
