"""What the bucket says of itself, and how large what lies in it is."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from google.cloud import storage

from dr.archive.object_store import failures_explained
from dr.config.environment import BackupPlace
from dr.health.snapshot import BucketFacts, DeleteRule

_SECONDS = 10
_DESCRIPTION = "backup.info"
_ENDPOINT = "GOOGLE_STORAGE_CUSTOM_ENDPOINT"
"""The variable by which Google's Pulumi provider is led to another server; it ends with the API's version."""
_BY_AGE = {"age", "matchesPrefix"}


def read_bucket(place: BackupPlace) -> BucketFacts:
    """The bucket's own settings. Raises AccessError as reading the bucket does."""
    with failures_explained(place):
        bucket = _client().get_bucket(place.bucket, retry=None, timeout=_SECONDS)
        return BucketFacts(location=bucket.location or "", deletes=tuple(delete_rules(bucket.lifecycle_rules)))


def delete_rules(rules: Any) -> Iterator[DeleteRule]:
    """Those of a bucket's lifecycle rules that delete what is current, by nothing but its age and its name."""
    for rule in rules:
        condition = rule.get("condition") or {}
        applies = {key for key, value in condition.items() if value not in (None, "ANY") or key in _BY_AGE}
        live = condition.get("isLive") is not False
        if rule["action"]["type"] == "Delete" and "age" in condition and live and applies - {"isLive"} <= _BY_AGE:
            yield DeleteRule(age_days=int(condition["age"]), prefixes=tuple(condition.get("matchesPrefix") or ()))


def base_backup_bytes(place: BackupPlace, server_name: str) -> Mapping[str, int]:
    """The bytes of every base backup of ``server_name``, by its ID, without its description. Raises AccessError."""
    prefix = f"{place.path}/{server_name}/base/"
    sizes: dict[str, int] = {}
    with failures_explained(place):
        listing = storage.Client().list_blobs(
            place.bucket, prefix=prefix, fields="items(name,size),nextPageToken", retry=None, timeout=_SECONDS
        )
        for blob in listing:
            backup_id, _, name = blob.name.removeprefix(prefix).partition("/")
            sizes[backup_id] = sizes.get(backup_id, 0) + (0 if name == _DESCRIPTION else int(blob.size or 0))
    return sizes


def _client() -> Any:
    endpoint = os.environ.get(_ENDPOINT, "").removesuffix("/").removesuffix("/storage/v1")
    return storage.Client(client_options={"api_endpoint": endpoint}) if endpoint else storage.Client()
