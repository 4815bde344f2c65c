"""Google Cloud Storage, as the store of the backups."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from typing import Any

from google.api_core.exceptions import ClientError, Forbidden, GoogleAPIError, NotFound, Unauthorized
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud import storage
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from dr.archive.bucket import BucketFacts, DeleteRule
from dr.archive.store import Listing, MissingObjectError, StoredObject, first_line, unreachable
from dr.config.backup_location import BackupLocation
from dr.core.commands import command_line
from dr.core.errors import AccessError

_FAILURES = (GoogleAPIError, RequestException, HTTPError)
"""What Google's client raises where the store does not answer as it should. A connection that breaks within a body
raises urllib3's own error: the body is read past ``requests``."""
_LOG_IN = command_line("gcloud", "auth", "application-default", "login")
_SECONDS = 10
_PART_SECONDS = (3, 5)
"""For one request: to connect, and to be answered."""
_ENDPOINT = "GOOGLE_STORAGE_CUSTOM_ENDPOINT"
"""The variable by which Google's Pulumi provider is led to another server; it ends with the API's version."""
_BY_AGE = {"age", "matchesPrefix", "isLive"}
_NOT_CURRENT = {"daysSinceNoncurrentTime", "noncurrentTimeBefore", "numNewerVersions"}
"""Conditions that only an object fulfils which is not the newest of its name."""


class GoogleStore:
    """A bucket of Cloud Storage, by the application-default login."""

    def __init__(self, place: BackupLocation) -> None:
        """Find the credentials; nothing is asked. Raises AccessError ``google-credentials``."""
        self._place = place
        with failures_explained(place):
            self._client = storage.Client()
            self._bucket = self._client.bucket(place.bucket)

    def list_objects(self, prefix: str, *, delimiter: str = "", patient: bool = False) -> Listing:
        """As in the port."""
        with failures_explained(self._place):
            found = self._client.list_blobs(
                self._bucket,
                prefix=prefix,
                delimiter=delimiter or None,
                fields="items(name,size,timeCreated),prefixes,nextPageToken",
                **_tries(patient=patient),
            )
            # The prefixes come with the pages.
            objects = tuple(StoredObject(name=blob.name, size=blob.size, created=blob.time_created) for blob in found)
            return Listing(objects=objects, folders=tuple(sorted(found.prefixes)))

    def read(self, name: str, *, patient: bool = False) -> bytes:
        """As in the port."""
        return self._read(name, **_tries(patient=patient))

    def part(self, name: str, first: int, count: int) -> bytes:
        """As in the port: a range of what the store decompresses on its way would be of no use."""
        return self._read(
            name,
            start=first,
            end=first + count - 1,
            raw_download=True,
            checksum=None,
            retry=None,
            timeout=_PART_SECONDS,
        )

    def _read(self, name: str, **options: Any) -> bytes:
        with failures_explained(self._place):
            try:
                return bytes(self._bucket.blob(name).download_as_bytes(**options))
            except NotFound as error:
                raise MissingObjectError(name) from error

    def write(self, name: str, text: str) -> None:
        """As in the port."""
        with failures_explained(self._place):
            blob = self._bucket.blob(name)
            blob.upload_from_string(text, content_type="application/json", retry=None, timeout=_SECONDS)

    def facts(self) -> BucketFacts:
        """As in the port."""
        endpoint = os.environ.get(_ENDPOINT, "").removesuffix("/").removesuffix("/storage/v1")
        with failures_explained(self._place):
            client = storage.Client(client_options={"api_endpoint": endpoint}) if endpoint else self._client
            bucket = client.get_bucket(self._place.bucket, retry=None, timeout=_SECONDS)
            return BucketFacts(
                location=bucket.location or "",
                deletes=tuple(delete_rules(bucket.lifecycle_rules)),
                held_seconds=bucket.retention_period or 0,
            )


def _tries(*, patient: bool) -> dict[str, Any]:
    return {} if patient else {"retry": None, "timeout": _SECONDS}


def delete_rules(rules: Any) -> Iterator[DeleteRule]:
    """Those of a bucket's lifecycle rules that may delete what is current. All conditions of a rule have to hold
    (https://cloud.google.com/storage/docs/lifecycle): what it asks for besides age and prefix is shown with it.
    """
    for rule in rules:
        condition = {key: value for key, value in (rule.get("condition") or {}).items() if value not in (None, "ANY")}
        live = condition.get("isLive") is not False and not any(condition.get(key) for key in _NOT_CURRENT)
        if rule["action"]["type"] != "Delete" or not live:
            continue
        more = {key: value for key, value in condition.items() if key not in _BY_AGE | _NOT_CURRENT}
        yield DeleteRule(
            age_days=int(condition["age"]) if "age" in condition else None,
            prefixes=tuple(condition.get("matchesPrefix") or ()),
            condition=", ".join(f"{key} {value}" for key, value in sorted(more.items())),
        )


@contextmanager
def failures_explained(place: BackupLocation) -> Iterator[None]:
    """Turns a failure of Cloud Storage into AccessError ``bucket-unreachable``, ``bucket-missing``,
    ``bucket-forbidden``, ``google-credentials`` or ``archive-encrypted``.
    """
    try:
        yield
    except (*_FAILURES, GoogleAuthError, OSError, JSONDecodeError) as error:
        raise _explained(place, error) from error


def _explained(place: BackupLocation, error: Exception) -> AccessError:
    if isinstance(error, ClientError) and re.search(r"encrypt|kms", str(error), re.IGNORECASE):
        return AccessError(
            "archive-encrypted",
            f"what lies in the bucket {place.bucket} is encrypted with a key that cannot be used: {first_line(error)}",
            "enable the key in Cloud KMS, and let the bucket's service agent use it; without the key nothing there can "
            "be read",
        )
    if isinstance(error, NotFound):
        return AccessError(
            "bucket-missing",
            f"there is no bucket {place.bucket}",
            "correct backup.bucket; if the bucket is gone, so are the backups",
        )
    if isinstance(error, GoogleAuthError) and not isinstance(error, TransportError):
        return AccessError(
            "google-credentials",
            f"the bucket {place.bucket} was not asked, as the login at Google fails: {first_line(error)}",
            f"log in ({_LOG_IN}), or run where a Workload Identity gives credentials",
        )
    if isinstance(error, (Forbidden, Unauthorized)):
        return AccessError(
            "bucket-forbidden",
            f"the bucket {place.bucket} does not let this user in: {first_line(error)}",
            f"log in ({_LOG_IN}); roles/storage.objectViewer on the bucket is enough",
        )
    odd = "no JSON is answered: " if isinstance(error, JSONDecodeError) else ""
    return unreachable(place, f"{odd}{first_line(error)}")
