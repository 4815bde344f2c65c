"""Copies of Clusters' specifications next to their backups, one object for each: ``<path>/<cluster>.cluster.json``.

It lies above the folders of the serverNames, where neither barman nor CloudNativePG looks.
"""

import json
from datetime import datetime

from dr.archive.store import MissingObjectError, store_of
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.cluster_copy import StandIn, copy_of, from_copy
from dr.config.backup_location import BackupLocation


def keep_copy(place: BackupLocation, cluster: ClusterSnapshot, at: datetime) -> None:
    """Write the copy of ``cluster``, in place of an older one. Raises AccessError as reading the bucket does."""
    store_of(place).write(_name(place, cluster.name), json.dumps(copy_of(cluster, at), indent=2))


def find_copy(place: BackupLocation, cluster: str) -> StandIn | None:
    """The Cluster as it was kept; None where there is no copy, or none that this version understands."""
    try:
        return from_copy(json.loads(store_of(place).read(_name(place, cluster))))
    except MissingObjectError:
        return None
    except (ValueError, KeyError, TypeError):
        return None


def _name(place: BackupLocation, cluster: str) -> str:
    return f"{place.prefix}{cluster}.cluster.json"
