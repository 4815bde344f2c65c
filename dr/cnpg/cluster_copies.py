"""Copies of Clusters' specifications next to their backups, one object for each: ``<path>/<cluster>.cluster.json``.

It lies above the folders of the serverNames, where neither barman nor CloudNativePG looks.
"""

import json
from datetime import datetime

from google.cloud import storage
from google.cloud.exceptions import NotFound

from dr.archive.reader import failures_explained
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.cluster_copy import StandIn, copy_of, from_copy
from dr.config.environment import BackupLocation

_SECONDS = 10


def keep_copy(place: BackupLocation, cluster: ClusterSnapshot, at: datetime) -> None:
    """Write the copy of ``cluster``, in place of an older one. Raises AccessError as reading the bucket does."""
    text = json.dumps(copy_of(cluster, at), indent=2)
    with failures_explained(place):
        blob = storage.Client().bucket(place.bucket).blob(_name(place, cluster.name))
        blob.upload_from_string(text, content_type="application/json", retry=None, timeout=_SECONDS)


def find_copy(place: BackupLocation, cluster: str) -> StandIn | None:
    """The Cluster as it was kept; None where there is no copy, or none that this version understands."""
    with failures_explained(place):
        blob = storage.Client().bucket(place.bucket).blob(_name(place, cluster))
        try:
            text = blob.download_as_bytes(retry=None, timeout=_SECONDS)
        except NotFound:
            return None
    try:
        return from_copy(json.loads(text))
    except (ValueError, KeyError, TypeError):
        return None


def _name(place: BackupLocation, cluster: str) -> str:
    return f"{place.path}/{cluster}.cluster.json"
