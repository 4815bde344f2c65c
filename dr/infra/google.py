"""Google's APIs, as far as they say what there is, and what Google refuses while a platform is made.

Whether something exists is the one thing that must be right here: what is taken for gone is recreated. So "gone"
needs two witnesses, the thing's own 404 and the list that would have it, answered in full and without it. An API that
does not answer, or does not let us in, or answers only in part, does not count.

The provider hands Google's errors on as text, and a rebuild meets the same handful of them: a quota, a zone without
machines, an API that was never enabled, something that is there already, and, right after something was made, that it
is not known everywhere yet.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

import google.auth
import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

from dr.core.commands import CommandLines, command_line
from dr.core.errors import AccessError
from dr.engine.infrastructure_stack import InfrastructureStack
from dr.infra.inventory import Reconciliation, ResourceState, check_proven, reconcile
from dr.stacks.resources import Api, CloudResource, Entry, Member, Named, Place, resources_of

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_TIMEOUT = (5, 20)
_ENDPOINTS = {
    Api.STORAGE: "https://storage.googleapis.com/storage/v1/",
    Api.IAM: "https://iam.googleapis.com/v1/",
    Api.RESOURCE_MANAGER: "https://cloudresourcemanager.googleapis.com/v1/",
    Api.COMPUTE: "https://compute.googleapis.com/compute/v1/",
    Api.CONTAINER: "https://container.googleapis.com/v1/",
    Api.SECRET_MANAGER: "https://secretmanager.googleapis.com/v1/",
}
_INCOMPLETE = ("missingZones", "unreachable", "warning")
"""The fields by which Google says that a list lacks what a place did not tell."""
_GOING = "STOPPING"
"""The status of a cluster or pool that is being deleted: there for some minutes, and not to be counted on."""


class GoogleApi:
    """One look at Google. What it answered is remembered, so that one policy is read once for all its members."""

    def __init__(self) -> None:
        self._told: dict[tuple[Api, str], dict[str, Any] | None] = {}

    def look(self, resource: CloudResource) -> ResourceState:
        """Whether ``resource`` is there, or why that could not be found out."""
        try:
            return ResourceState(resource=resource, there=self.is_there(resource.place))
        except AccessError as error:
            return ResourceState(resource=resource, there=None, why=error.cause)

    def is_there(self, place: Place) -> bool:
        """Whether what has this place exists. Raises AccessError when that could not be found out."""
        match place:
            case Named():
                found = self.find(place.api, place.path)
                if found is not None and found.get("status") == _GOING:
                    raise _unproven(f"{place.path} is being deleted")
                if found is not None:
                    return True
                self._prove_gone(place)
                return False
            case Entry():
                of = self.find(place.of.api, place.of.path)
                if of is None:
                    self._prove_gone(place.of)
                    return False
                return any(entry.get("name") == place.name for entry in of.get(place.field) or ())
            case Member():
                policy = self.find(place.api, place.path, method=place.method)
                if policy is None:
                    if place.of is None or self.find(place.of.api, place.of.path) is not None:
                        raise _unproven(f"{place.path} is not to be found, and what it is of is there")
                    self._prove_gone(place.of)
                    return False
                return any(_grants(binding, place) for binding in policy.get("bindings") or ())

    def find(self, api: Api, path: str, *, method: str = "GET") -> dict[str, Any] | None:
        """What the API says of ``path``, None when it says that there is no such thing. Raises AccessError."""
        if (api, path) not in self._told:
            self._told[api, path] = self._ask(api, path, method)
        return self._told[api, path]

    def _prove_gone(self, named: Named) -> None:
        """Find the second witness that a thing which answered 404 is gone. Raises AccessError when there is none."""
        if named.within is not None and self.find(named.within.api, named.within.path) is None:
            self._prove_gone(named.within)
        elif any(item.get(named.key) == named.value for item in self._list(named)):
            raise _unproven(f"{named.path} is not to be found, and still on the list of {named.listing}")

    def _list(self, named: Named) -> Iterator[dict[str, Any]]:
        page, token = "", ""
        while True:
            answer = self.find(named.api, named.listing + page)
            if answer is None:
                raise _unproven(f"{named.listing} is not to be found")
            if lacking := [field for field in _INCOMPLETE if answer.get(field)]:
                raise _unproven(f"the list of {named.listing} is not complete: {lacking[0]} {answer[lacking[0]]}")
            yield from answer.get(named.items) or ()
            token = answer.get("nextPageToken") or ""
            if not token:
                return
            page = f"{'&' if '?' in named.listing else '?'}pageToken={quote(token, safe='')}"

    def _ask(self, api: Api, path: str, method: str) -> dict[str, Any] | None:
        url = endpoint(api) + path
        try:
            answer = self._session(url).request(method, url, timeout=_TIMEOUT)
        except GoogleAuthError as error:
            raise AccessError(
                "google-credentials",
                f"there are no credentials for Google that work: {_first_line(error)}",
                f"log in ({command_line('gcloud', 'auth', 'application-default', 'login')}), or run where a Workload "
                "Identity gives them",
            ) from error
        except (requests.exceptions.RequestException, OSError) as error:
            raise AccessError(
                "google-unreachable",
                f"{url} cannot be reached: {_first_line(error)}",
                "check the network, and https://status.cloud.google.com",
            ) from error
        return _understood(answer, url)

    def _session(self, url: str) -> requests.Session:
        """A session with our token; one without for what is not encrypted, where nobody's token has to be sent."""
        return self._authorized if url.startswith("https://") else self._anonymous

    @cached_property
    def _authorized(self) -> requests.Session:
        credentials, _ = google.auth.default(scopes=SCOPES)
        return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]  # it has no types

    @cached_property
    def _anonymous(self) -> requests.Session:
        return requests.Session()


def endpoint(api: Api) -> str:
    """The base URL of an API: Google's, or where the provider's own variables lead."""
    given = os.environ.get(f"GOOGLE_{api}_CUSTOM_ENDPOINT")
    return f"{given.rstrip('/')}/" if given else _ENDPOINTS[api]


def _understood(answer: requests.Response, url: str) -> dict[str, Any] | None:
    error = _error_in(answer)
    if answer.ok and error is None:
        document = answer.json()
        return document if isinstance(document, dict) else {}
    told = str((error or {}).get("message") or answer.reason)[:400]
    if answer.status_code == requests.codes.not_found and error is not None:
        return None
    if answer.status_code in {requests.codes.unauthorized, requests.codes.forbidden}:
        if "has not been used in project" in told or "is disabled" in told:
            raise AccessError(
                "google-api-disabled",
                f"{url} is not for use: {told}",
                "enable the API (the message has the link), wait a minute, and repeat the command",
            )
        raise AccessError(
            "google-forbidden",
            f"{url} does not let this user in: {told}",
            "use an account that may read it; roles/viewer on the project is enough to look",
        )
    raise AccessError(
        "google-failed", f"{url} answers {answer.status_code}: {told}", "repeat the command when Google is well again"
    )


def _error_in(answer: requests.Response) -> dict[str, Any] | None:
    """The error that Google describes; None without one, and also where what answers is not Google."""
    try:
        document = answer.json()
    except ValueError:
        return None if not answer.ok else {"message": "the answer is not valid JSON"}
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, dict) else None


def _grants(binding: dict[str, Any], wanted: Member) -> bool:
    """A conditional grant is another one, whatever it grants."""
    return (
        binding.get("role") == wanted.role
        and wanted.member in (binding.get("members") or ())
        and not binding.get("condition")
    )


def _unproven(cause: str) -> AccessError:
    return AccessError("google-failed", cause, "repeat the command when Google is well again")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


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

_APIS = [f"{name}.googleapis.com" for name in ("compute", "container", "iam", "storage", "cloudresourcemanager")]
_KINDS = (
    _Kind(
        code="api-not-enabled",
        pattern=_words(r"SERVICE_DISABLED", r"has not been used in project \S+ before or it is disabled"),
        cause="an API of Google is not enabled in the project",
        remedy=command_line("gcloud", "services", "enable", *_APIS, "--project", "PROJECT") + "; "
        "that takes a few minutes to be known everywhere, then {dr resume}",
    ),
    _Kind(
        code="quota-exceeded",
        pattern=_words(r"QUOTA_EXCEEDED", r"quota '?[\w.:/-]+'? exceeded", r"Insufficient (regional|project) quota"),
        cause="a quota of the project does not allow it",
        remedy="free some of it, ask Google for more "
        f"({command_line('gcloud', 'compute', 'regions', 'describe', 'REGION')} shows them), "
        "or rebuild in another region with --region; then {dr resume}",
    ),
    _Kind(
        code="no-machines",
        pattern=_words(
            r"ZONE_RESOURCE_POOL_EXHAUSTED", r"GCE_STOCKOUT", r"does not have enough resources available to fulfill"
        ),
        cause="Google has no such machines left in that zone",
        remedy="another machineType or zone in Pulumi.<platform>.yaml, on-demand instead of spot, or --region; "
        "then {dr resume}",
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
        cause="Google is still working on the same resource",
        remedy=f"wait for it ({command_line('gcloud', 'container', 'operations', 'list')}), then {{dr resume}}",
        waits=True,
    ),
    _Kind(
        code="already-exists",
        pattern=_words(r"Error 409.*(already ?exists|conflict)", r"alreadyExists", r"ALREADY_EXISTS"),
        cause="it exists already, and this stack does not hold it",
        remedy="{dr resume}: it is looked up again and adopted. If it is another's, give it another name in "
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
        remedy="{dr resume}, a minute later",
        waits=True,
    ),
    _Kind(
        code="google-busy",
        pattern=_words(
            r"rateLimitExceeded", r"Error 429", r"Error 50[0234]", r"backendError", r"Try again later", r"UNAVAILABLE"
        ),
        cause="Google's API is busy, or down for the moment",
        remedy="{dr resume}; if it lasts, {dr diagnose} looks at the region",
        waits=True,
    ),
    _Kind(
        code="permission-missing",
        pattern=_words(r"PERMISSION_DENIED", r"Error 403(?!.*rateLimitExceeded)", r"Required '\S+' permission"),
        cause="Google does not allow it to this user",
        remedy="ask for the permission that the message names (docs/infrastructure.md lists the roles), "
        "then {dr resume}",
    ),
)
"""In the order of asking: the particular before the general, whose words it may contain."""


def classify_fault(diagnostics: str, commands: CommandLines) -> CloudFault | None:
    """What ``diagnostics``, Pulumi's output, tells of; None where none of these is found. ``commands`` are the
    environment's, for the remedy.

    Of several the first kind counts: what cannot be waited for is not to be hidden by what can.
    """
    for kind in sorted(_KINDS, key=lambda kind: kind.waits):
        for one in _LINES.split(diagnostics):
            if kind.pattern.search(one):
                said, remedy = " ".join(one.split())[:400], commands.fill(kind.remedy)
                return CloudFault(code=kind.code, cause=kind.cause, remedy=remedy, waits=kind.waits, said=said)
    return None


def take_inventory(stack: InfrastructureStack) -> Reconciliation:
    """What is there, what the state holds, and what follows for each resource. Changes nothing. Raises AccessError when
    something cannot be proven, RefusedError where the state holds something else, EngineError.
    """
    api = GoogleApi()
    states = [api.look(resource) for resource in resources_of(stack.part)]
    check_proven(stack.part.name, states)
    return reconcile(stack.part.name, states, stack.held())
