"""What Google refuses while a platform is made, recognised in Pulumi's words: what it means, what helps, and whether
waiting does.

The provider hands Google's errors on as text, and a rebuild meets the same handful of them: a quota, a zone without
machines, an API that was never enabled, something that is there already, and, right after something was made, that it
is not known everywhere yet.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CloudFault:
    """One kind of refusal. ``waits`` says that the same request may succeed a little later; ``said`` are the words by
    which it was known.
    """

    code: str
    cause: str
    remedy: str
    waits: bool
    said: str


@dataclass(frozen=True, kw_only=True)
class _Kind:
    code: str
    pattern: re.Pattern[str]
    cause: str
    remedy: str
    waits: bool = False


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_LINES = re.compile(r"\n| / ")
"""Pulumi's lines, or what an error of ours joins them by."""

_KINDS = (
    _Kind(
        code="api-not-enabled",
        pattern=_words(r"SERVICE_DISABLED", r"has not been used in project \S+ before or it is disabled"),
        cause="an API of Google is not enabled in the project",
        remedy="gcloud services enable compute.googleapis.com container.googleapis.com iam.googleapis.com "
        "storage.googleapis.com cloudresourcemanager.googleapis.com --project PROJECT; "
        "that takes a few minutes to be known everywhere, then python -m dr resume",
    ),
    _Kind(
        code="quota-exceeded",
        pattern=_words(r"QUOTA_EXCEEDED", r"quota '?[\w.:/-]+'? exceeded", r"Insufficient (regional|project) quota"),
        cause="a quota of the project does not allow it",
        remedy="free some of it, ask Google for more (gcloud compute regions describe REGION shows them), "
        "or rebuild in another region with --region; then python -m dr resume",
    ),
    _Kind(
        code="no-machines",
        pattern=_words(
            r"ZONE_RESOURCE_POOL_EXHAUSTED", r"GCE_STOCKOUT", r"does not have enough resources available to fulfill"
        ),
        cause="Google has no such machines left in that zone",
        remedy="another machineType or zone in Pulumi.<platform>.yaml, on-demand instead of spot, or --region; "
        "then python -m dr resume",
    ),
    _Kind(
        code="operation-under-way",
        pattern=_words(
            r"RESOURCE_OPERATION_IN_PROGRESS",
            r"incompatible operation",
            r"Operation is in progress",
            r"Cluster is (currently )?(running|being)",
            r"There is an operation on a peering in the (local or peer )?network",
        ),
        cause="Google is still at work on the same thing",
        remedy="wait for it (gcloud container operations list), then python -m dr resume",
        waits=True,
    ),
    _Kind(
        code="already-exists",
        pattern=_words(r"Error 409.*(already ?exists|conflict)", r"alreadyExists", r"ALREADY_EXISTS"),
        cause="it exists already, and this stack does not hold it",
        remedy="python -m dr resume: it is looked up again and adopted. If it is another's, give it another name in "
        "Pulumi.<stack>.yaml",
        waits=True,
    ),
    _Kind(
        code="not-known-yet",
        pattern=_words(
            r"resourceNotReady",
            r"is not ready",
            r"(Service account|Identity Pool|serviceAccount:)\S* ?\S* does not exist",
            r"Error 404:.*(serviceAccounts|subnetworks|networks|routers)/",
            r"NOT_FOUND.*(serviceAccounts|subnetworks|networks|routers)/",
            r"account .* (was )?not found.*propagat",
        ),
        cause="what was just made is not known everywhere at Google yet",
        remedy="python -m dr resume, a minute later",
        waits=True,
    ),
    _Kind(
        code="google-busy",
        pattern=_words(
            r"rateLimitExceeded", r"Error 429", r"Error 50[0234]", r"backendError", r"Try again later", r"UNAVAILABLE"
        ),
        cause="Google's API is busy, or down for the moment",
        remedy="python -m dr resume; if it goes on, python -m dr diagnose looks at the region",
        waits=True,
    ),
    _Kind(
        code="permission-missing",
        pattern=_words(r"PERMISSION_DENIED", r"Error 403(?!.*rateLimitExceeded)", r"Required '\S+' permission"),
        cause="Google does not allow it to this user",
        remedy="ask for the permission that the message names (docs/infrastructure.md lists the roles), "
        "then python -m dr resume",
    ),
)
"""In the order of asking: the particular before the general, whose words it may contain."""


def recognised(diagnostics: str) -> CloudFault | None:
    """What ``diagnostics``, Pulumi's output, tells of; None where none of these is found.

    Of several the first kind counts: what cannot be waited for is not to be hidden by what can.
    """
    for kind in sorted(_KINDS, key=lambda kind: kind.waits):
        for line in _LINES.split(diagnostics):
            if kind.pattern.search(line):
                said = " ".join(line.split())[:400]
                return CloudFault(code=kind.code, cause=kind.cause, remedy=kind.remedy, waits=kind.waits, said=said)
    return None
