"""The source Cluster was deleted, and its Secrets with it: its copy beside the backups tells how it ran."""

import base64
import json

import pytest

from tests.e2e.operator_seat import fresh_dev

pytestmark = pytest.mark.long


def test_a_deleted_cluster_comes_back_from_its_archive_and_its_copy(lab_variables: dict[str, str]) -> None:
    # GIVEN a recovery, which keeps a copy of how the source runs, and then the deletion of both Clusters
    dev = fresh_dev(lab_variables)
    rows = dev.psql(dev.source, "SELECT count(*) FROM users")
    found = json.loads(dev.kubectl("get", "secret", "postgres-dev-app", "-n", "data", "-o", "json"))["data"]
    recovered = dev.pitr(dev.database_time(), "--yes")
    assert recovered.code == 0, recovered
    spec = (dev.cluster(dev.source) or {})["spec"]
    dev.delete_recovered()
    dev.kubectl("delete", "cluster", dev.source, "-n", "data")

    # WHEN it is recovered, it says what is missing: Secrets are no part of a backup
    refused = dev.dr("latest", "--env", "dev", "--yes")
    assert (refused.code, refused.problem_codes) == (4, ["secret-missing"])
    given = [f"--from-literal={key}={base64.b64decode(found[key]).decode()}" for key in ("username", "password")]
    words = ("create", "secret", "generic", "postgres-dev-app", "-n", "data", "--type=kubernetes.io/basic-auth")
    dev.kubectl(*words, *given)
    again = dev.dr("latest", "--env", "dev", "--yes")

    # THEN
    assert again.code == 0, again
    assert dev.psql(again.document["cluster"], "SELECT count(*) FROM users") == rows
    made = (dev.cluster(again.document["cluster"]) or {})["spec"]
    assert made["postgresql"]["parameters"] == spec["postgresql"]["parameters"]
    assert (made["imageName"], made["storage"]) == (spec["imageName"], spec["storage"])
    moved = dev.dr("switchover", "--env", "dev", "--yes")
    assert moved.code == 0, moved
    dev.end_started()
