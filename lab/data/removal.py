"""Removes the lab's data and whatever recoveries have added to it, so that it can be made anew."""

from __future__ import annotations

import shutil

from lab.cluster import Cluster
from lab.data import repository
from lab.data.content import CNPG
from lab.data.environments import DATABASES, ENVIRONMENTS
from lab.paths import State
from lab.platform import gcs

GONE_WITHIN = 120.0
NAMESPACES = (DATABASES, *(environment.name for environment in ENVIRONMENTS))


def remove(where: State, cluster: Cluster) -> None:
    """Remove every object of the environments, their volumes, the bucket's content, the Git repository, the Pulumi
    state and dr's journals.

    Raises:
        LabError: something was still there after `GONE_WITHIN` seconds.
    """
    where.data_mark.unlink(missing_ok=True)
    where.gone_mark.unlink(missing_ok=True)
    where.plugin_mark.unlink(missing_ok=True)
    for kind in ("ScheduledBackup", "Backup", "Cluster"):
        for found in cluster.list(CNPG, kind):
            cluster.delete(CNPG, kind, found["metadata"]["name"], found["metadata"]["namespace"])
    for name in NAMESPACES:
        cluster.delete("v1", "Namespace", name)
    # A database waits minutes for its clients before it stops; here nothing is worth waiting for.
    for name in NAMESPACES:
        for pod in cluster.list("v1", "Pod", name):
            cluster.delete("v1", "Pod", pod["metadata"]["name"], name, grace=0)
    for name in NAMESPACES:
        cluster.wait_absent("v1", "Namespace", name, timeout=GONE_WITHIN, what=f"removing namespace {name}")
    cluster.wait_gone("v1", "PersistentVolume", None, timeout=GONE_WITHIN, what="freeing the volumes")
    gcs.empty(where)
    repository.remove(where)
    for folder in (where.pulumi, where.dr):
        shutil.rmtree(folder, ignore_errors=True)
    where.pulumi.mkdir(parents=True)
