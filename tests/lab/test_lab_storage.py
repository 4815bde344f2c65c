"""The provisioner serves its own claims, reclaims its own volumes, and touches no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.platform import storage


def claim(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "metadata": {
            "name": "postgres-prod-1",
            "namespace": "data",
            "uid": "1234",
            "annotations": {"volume.kubernetes.io/storage-provisioner": storage.PROVISIONER},
        },
        "spec": {
            "storageClassName": "lab",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "5Gi"}},
        },
    }
    found["metadata"].update(changes.pop("metadata", {}))
    found["spec"].update(changes.pop("spec", {}))
    return found


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (claim(), True),
        (claim(metadata={"annotations": {"volume.kubernetes.io/storage-provisioner": "lab.local/nobody"}}), False),
        (claim(metadata={"annotations": None}), False),
        (claim(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), False),
        (claim(spec={"volumeName": "pvc-1234"}), False),
    ],
)
def test_only_waiting_claims_of_ours_get_a_volume(found: dict[str, Any], wanted: bool) -> None:
    assert storage.wants_volume(found) is wanted


def test_volume_is_bound_to_its_claim() -> None:
    volume = storage.volume_for(claim(), Path("/volumes"))
    assert volume["spec"]["claimRef"]["uid"] == "1234"
    assert volume["spec"]["capacity"] == {"storage": "5Gi"}
    assert volume["spec"]["hostPath"]["path"] == "/volumes/pvc-1234"
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"


@pytest.mark.parametrize(
    ("phase", "provisioner", "policy", "wanted"),
    [
        ("Released", storage.PROVISIONER, "Delete", True),
        ("Bound", storage.PROVISIONER, "Delete", False),
        ("Released", "another", "Delete", False),
        ("Released", storage.PROVISIONER, "Retain", False),
    ],
)
def test_only_released_volumes_of_ours_are_reclaimed(phase: str, provisioner: str, policy: str, wanted: bool) -> None:
    volume = storage.volume_for(claim(), Path("/volumes"))
    volume["metadata"]["annotations"]["pv.kubernetes.io/provisioned-by"] = provisioner
    volume["spec"]["persistentVolumeReclaimPolicy"] = policy
    volume["status"] = {"phase": phase}
    assert storage.to_be_reclaimed(volume) is wanted


def test_reclaiming_follows_the_name_and_not_a_path_that_somebody_wrote(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    own = tmp_path / "volumes" / "pvc-1234"
    own.mkdir(parents=True)
    volume = storage.volume_for(claim(), tmp_path / "volumes")
    volume["spec"]["hostPath"]["path"] = str(precious)
    volume["status"] = {"phase": "Released"}
    deleted: list[str] = []

    class Cluster:
        def delete(self, _api_version: str, _kind: str, name: str) -> None:
            deleted.append(name)

    storage.Provisioner(Cluster(), tmp_path / "volumes").reclaim(volume)  # type: ignore[arg-type]
    assert deleted == ["pvc-1234"]
    assert precious.exists()
    assert not own.exists()
