"""What Google refuses, in the words in which the provider hands it on."""

import pytest

from dr.core.commands import ANY_RUN, CommandLines
from dr.infra.google import classify_fault

SAID = [
    (
        "googleapi: Error 403: Quota 'CPUS' exceeded.  Limit: 24.0 in region asia-northeast1., quotaExceeded",
        "quota-exceeded",
    ),
    ('Error 403: Insufficient regional quota to satisfy request: resource "SSD_TOTAL_GB"', "quota-exceeded"),
    (
        "[GCE_STOCKOUT]: The zone 'projects/p/zones/z' does not have enough resources available to fulfill the request",
        "no-machines",
    ),
    (
        "Error 403: Kubernetes Engine API has not been used in project 123 before or it is disabled. Enable it by",
        "api-not-enabled",
    ),
    ("googleapi: Error 409: Already exists: projects/p/locations/l/clusters/c., alreadyExists", "already-exists"),
    ("Error 409: The resource 'projects/p/global/networks/n' already exists, alreadyExists", "already-exists"),
    ("Error 400: Service account nodes@p.iam.gserviceaccount.com does not exist., badRequest", "not-known-yet"),
    ("Error 400: Identity Pool does not exist (p.svc.id.goog). Please check", "not-known-yet"),
    ("Error 400: The resource 'projects/p/regions/r/subnetworks/s' is not ready, resourceNotReady", "not-known-yet"),
    ("Error 400: Cluster is running incompatible operation operation-1., failedPrecondition", "operation-under-way"),
    ("Error 409: Operation is in progress on projects/p/clusters/c; please wait, conflict", "operation-under-way"),
    ("googleapi: Error 403: Quota exceeded for quota metric 'Queries', rateLimitExceeded", "google-busy"),
    ("googleapi: Error 503: The service is currently unavailable., backendError", "google-busy"),
    ("googleapi: Error 403: Required 'container.clusters.create' permission for 'projects/p'.", "permission-missing"),
]
WAITS = {"already-exists", "not-known-yet", "operation-under-way", "google-busy"}


@pytest.mark.parametrize(("said", "code"), SAID)
def test_each_refusal_is_known_by_its_words_and_whether_waiting_helps(said: str, code: str) -> None:
    told = f"Diagnostics:\n  gcp:container:Cluster (cluster):\n    error: 1 error occurred:\n    * {said}\n"
    fault = classify_fault(told, CommandLines(environment="prod"))
    assert fault is not None
    assert (fault.code, fault.waits) == (code, code in WAITS)
    assert fault.said.endswith(said[-40:].replace("  ", " "))
    assert "dr resume --env prod" in fault.remedy


def test_what_cannot_be_waited_for_is_not_hidden_by_what_can() -> None:
    quota, busy = SAID[0][0], SAID[12][0]
    for text in (f"{quota}\n{busy}", f"{busy}\n{quota}"):
        fault = classify_fault(text, ANY_RUN)
        assert fault is not None
        assert fault.code == "quota-exceeded"


def test_of_lines_that_were_joined_only_the_one_that_tells_it_is_told() -> None:
    fault = classify_fault(f"Pulumi failed: Diagnostics: / error: {SAID[0][0]} / Resources: / + 3 created", ANY_RUN)
    assert fault is not None
    assert fault.said == f"error: {SAID[0][0]}".replace("  ", " ")


def test_anything_else_is_not_explained_away() -> None:
    assert classify_fault("error: program exited with non-zero exit code: 1", ANY_RUN) is None
