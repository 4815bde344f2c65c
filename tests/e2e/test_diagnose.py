"""``dr diagnose`` on the lab: failures are made, and found."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.cli_runner import CliRunner, await_health
from tests.e2e.lab_bucket import unavailable
from tests.support.doubles import Wire, closed_port, serving, write_kubeconfig
from tests.support.waiting import wait_for

CRASHING = """
apiVersion: v1
kind: Pod
metadata: {{name: crashes, namespace: {namespace}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - {{name: main, image: {image}, imagePullPolicy: Never, command: [sh, -c, "exit 3"]}}
"""
SPOT_NODE = """
apiVersion: v1
kind: Node
metadata: {name: spot-1, labels: {cloud.google.com/gke-spot: "true", topology.kubernetes.io/region: asia-northeast1}}
"""
REGION = [
    {
        "begin": "2026-04-27T11:00:00+00:00",
        "external_desc": "Elevated error rates",
        "status_impact": "SERVICE_OUTAGE",
        "affected_products": [{"title": "Google Kubernetes Engine", "id": "x"}],
        "currently_affected_locations": [{"title": "Tokyo", "id": "asia-northeast1"}],
        "uri": "incidents/abc",
    }
]


def _rows(runner: CliRunner) -> list[str]:
    outcome = runner.dr("diagnose", "--env", runner.env)
    assert outcome.code == 0, outcome
    return [finding["row"] for finding in outcome.document["findings"]]


@pytest.fixture
def broken_dev(dev: CliRunner) -> Iterator[CliRunner]:
    """Dev, to be broken: what the tests do to it is taken back."""
    dev.kubectl("rollout", "status", "deployment/tomoda-api", "-n", "dev", "--timeout=300s")
    yield dev
    dev.kubectl("delete", "pod", "crashes", "-n", "dev", "--ignore-not-found", "--wait=false")
    dev.kubectl("delete", "node", "spot-1", "--ignore-not-found")
    dev.psql(dev.source, "ALTER TABLE IF EXISTS users_away RENAME TO users")
    await_health(dev.health_url(), 200)


def test_a_crash_loop_a_spot_node_and_a_missing_table_are_found_at_once(broken_dev: CliRunner) -> None:
    # GIVEN a platform that is well
    assert _rows(broken_dev) == []
    # WHEN a pod crashes, a node does not report, and a table is away
    image = broken_dev.kubectl(
        "get", "deployment", "tomoda-api", "-n", "dev", "-o", "jsonpath={.spec.template.spec.containers[0].image}"
    )
    broken_dev.apply(CRASHING.format(namespace="dev", image=image))
    broken_dev.apply(SPOT_NODE)
    broken_dev.psql(broken_dev.source, "ALTER TABLE users RENAME TO users_away")
    state = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    wait_for(lambda: broken_dev.kubectl("get", "pod", "crashes", "-n", "dev", "-o", state) == "CrashLoopBackOff")
    # THEN each is its row, the worst first, with its command
    outcome = broken_dev.dr("diagnose", "--env", "dev")
    found = {finding["row"]: finding for finding in outcome.document["findings"]}
    assert list(found) == ["table-drop", "spot-preemption", "pod-crash"]
    assert found["table-drop"]["command"] == "python -m dr pitr --env dev --before-drop public.users"
    assert "its container ended with 3 (Error)" in found["pod-crash"]["seen"]


def test_a_bucket_that_is_away_is_found_and_back_again_nothing_is(broken_dev: CliRunner) -> None:
    with unavailable():
        assert _rows(broken_dev) == ["bucket"]
    wait_for(lambda: _rows(broken_dev) == [])


@pytest.mark.long
def test_an_archive_that_fails_is_found_once_cloudnativepg_says_so(broken_dev: CliRunner) -> None:
    archiving = 'jsonpath={.status.conditions[?(@.type=="ContinuousArchiving")].status}'
    with unavailable():
        broken_dev.psql(broken_dev.source, "CREATE TABLE noted (); DROP TABLE noted; SELECT pg_switch_wal()")
        # barman goes on trying for two minutes before it gives a segment up.
        wait_for(
            lambda: broken_dev.kubectl("get", "cluster", "postgres-dev", "-n", "data", "-o", archiving) == "False", 400
        )
        assert _rows(broken_dev) == ["archive", "bucket"]
    wait_for(lambda: _rows(broken_dev) == [])


def test_an_api_that_is_gone_and_a_region_that_is_out(dev: CliRunner, tmp_path: Path) -> None:
    # GIVEN a kubeconfig that leads to nobody, while bucket and network work
    gone = write_kubeconfig(tmp_path / "kubeconfig", {"lab-dev": closed_port()})
    runner = dev.with_config(tmp_path, kubernetes={"context": "lab-dev", "kubeconfig": str(gone)})
    document = runner.dr("diagnose", "--env", "dev").document
    # The double of Google has the cluster: it is the way there that is broken.
    assert [(one["row"], one["proven"]) for one in document["findings"]] == [("this-machine", False)]
    assert "RUNNING" in document["findings"][0]["seen"]
    # WHEN the bucket is away too, and a double of Google's status page reports the region
    with serving(Wire()) as page, unavailable():
        page.on("/incidents.json", REGION)
        out = CliRunner("dev", runner.variables, runner.config_dir)
        path = runner.config_dir / "Pulumi.dev.yaml"
        configured = yaml.safe_load(path.read_text())
        configured["config"]["postgres-dr:cloudStatusUrl"] = f"{page.url}/incidents.json"
        path.write_text(yaml.safe_dump(configured))
        document = out.dr("diagnose", "--env", "dev").document
    rows = [(one["row"], one["proven"]) for one in document["findings"]]
    assert rows == [("region-outage", True), ("bucket", False), ("this-machine", False)], json.dumps(document)
