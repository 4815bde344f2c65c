"""Volumes as folders of the state: a small dynamic provisioner for the StorageClass `lab`.

A claim gets a folder; when the claim is deleted, the volume and its folder go too, with no hand needed. It follows the
contract between Kubernetes and an external provisioner: a claim is ours when the annotation
`volume.kubernetes.io/storage-provisioner` names us, and a volume when `pv.kubernetes.io/provisioned-by` does
(`pkg/controller/volume/persistentvolume` of Kubernetes). Run as a process: `python -m lab.platform.storage`.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import urllib3
from kubernetes.dynamic.exceptions import ConflictError, DynamicApiError

from lab import manifests, processes
from lab.cache_keys import content_key
from lab.cluster import Cluster, Document
from lab.paths import SOURCES, State

NAME = "storage"
PROVISIONER = "lab.local/folders"
MANIFEST = Path(__file__).parent / "manifests" / "storage.yaml"
WATCH_FOR = 300
"""Seconds after which a watch is begun anew; it starts with all there is, so nothing is lost in between."""


def up(where: State, cluster: Cluster) -> str | None:
    """Have the StorageClasses and the provisioner."""
    where.volumes.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-u", "-m", "lab.platform.storage", str(where.root)]
    settings = [content_key(Path(__file__))]
    if not processes.ensure(where, NAME, command, settings=settings, env={"PYTHONPATH": str(SOURCES.parent)}):
        return "is up"
    cluster.apply(manifests.read(MANIFEST, provisioner=PROVISIONER))
    return None


def wants_volume(claim: Document) -> bool:
    """Whether this claim waits for a volume of ours."""
    annotations = claim["metadata"].get("annotations") or {}
    return (
        annotations.get("volume.kubernetes.io/storage-provisioner") == PROVISIONER
        and not claim["spec"].get("volumeName")
        and not claim["metadata"].get("deletionTimestamp")
    )


def to_be_reclaimed(volume: Document) -> bool:
    """Whether this volume is ours and its claim is gone."""
    annotations = volume["metadata"].get("annotations") or {}
    return (
        annotations.get("pv.kubernetes.io/provisioned-by") == PROVISIONER
        and (volume.get("status") or {}).get("phase") == "Released"
        and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    )


def volume_for(claim: Document, folder: Path) -> Document:
    """The volume to make for a claim: already bound to it, as large as it asks, in a folder of its own name."""
    metadata = claim["metadata"]
    name = f"pvc-{metadata['uid']}"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
            "hostPath": {"path": str(folder / name), "type": "Directory"},
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": claim["spec"]["storageClassName"],
        },
    }


class Provisioner:
    """Makes and removes volumes as claims come and go."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder

    def provision(self, claim: Document) -> None:
        if not wants_volume(claim):
            return
        volume = volume_for(claim, self._folder)
        path = Path(volume["spec"]["hostPath"]["path"])
        path.mkdir(exist_ok=True)
        path.chmod(0o777)  # fsGroup does not apply to a hostPath, and any user may run in the pod
        try:
            self._cluster.kind("v1", "PersistentVolume").create(body=volume)
        except ConflictError:
            return  # this claim was seen twice
        _say(f"made {volume['metadata']['name']} for {claim['metadata']['namespace']}/{claim['metadata']['name']}")

    def reclaim(self, volume: Document) -> None:
        if not to_be_reclaimed(volume):
            return
        name = volume["metadata"]["name"]
        # By name and not by the volume's own path: whoever may write volumes must not be able to point us elsewhere.
        shutil.rmtree(self._folder / name, ignore_errors=True)
        self._cluster.delete("v1", "PersistentVolume", name)
        _say(f"removed {name}")

    def follow(self, kind: str, act: Callable[[Document], None]) -> None:
        """Watch a kind for ever, and act on each object as it appears and changes."""
        while True:
            try:
                for event in self._cluster.kind("v1", kind).watch(timeout=WATCH_FOR):
                    if event["type"] in ("ADDED", "MODIFIED"):
                        act(event["object"].to_dict())
            except (DynamicApiError, urllib3.exceptions.HTTPError) as error:
                _say(f"{kind}: {type(error).__name__}, watching again")
                time.sleep(0.5)


def _say(text: str) -> None:
    print(datetime.now(UTC).isoformat(timespec="seconds"), text)


def main(root: str) -> None:
    """Run until ended."""
    where = State(Path(root))
    worker = Provisioner(Cluster(where), where.volumes)
    threading.Thread(target=worker.follow, args=("PersistentVolume", worker.reclaim), daemon=True).start()
    Provisioner(Cluster(where), where.volumes).follow("PersistentVolumeClaim", worker.provision)


if __name__ == "__main__":
    main(sys.argv[1])
