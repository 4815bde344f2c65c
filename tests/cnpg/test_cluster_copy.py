"""How a Cluster that is gone is known: by its copy beside the backups, or by its manifest."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.cluster_copy import copy_of, from_copy
from dr.core.errors import RequestError
from dr.recovery.observe import read_manifest
from dr.recovery.preconditions import preconditions
from dr.recovery.run import Recovery
from tests.support.builders import NOW, a_decision, a_request, a_situation, a_source, an_environment, cluster_object


def test_a_copy_tells_all_that_a_recovery_is_derived_from() -> None:
    # GIVEN
    source = a_source()
    # WHEN
    stand_in = from_copy(copy_of(source, NOW))
    # THEN
    assert stand_in is not None
    assert stand_in.origin == "its copy of 2026-04-27 12:00:00 UTC next to the backups"
    known = stand_in.cluster
    assert (known.name, known.namespace, known.spec) == (source.name, source.namespace, source.spec)
    assert (known.store, known.image, known.database, known.app_secret) == (
        source.store,
        source.image,
        source.database,
        source.app_secret,
    )
    assert (known.primary, known.ready) == (None, False)


def test_the_recovered_cluster_is_the_same_as_from_the_cluster_itself() -> None:
    stand_in = from_copy(copy_of(a_source(), NOW))
    assert stand_in is not None
    gone = a_situation(source=stand_in.cluster, database_time=None, stand_in_origin=stand_in.origin)
    decision = a_decision(gone)
    assert decision.cluster.manifest["spec"] == a_decision(a_situation(source=a_source())).cluster.manifest["spec"]
    assert decision.facts["Source"].startswith("data/postgres-prod, which is gone: known by its copy of")
    assert "seal-wal" not in [step.key for step in Recovery(decision).plan.steps]


def test_a_copy_of_an_image_that_only_the_operator_knew_names_it() -> None:
    raw = cluster_object(imageName=None)
    raw["status"]["image"] = "registry.acme.test/postgis:17.6"
    stand_in = from_copy(copy_of(ClusterSnapshot.from_object(raw), NOW))
    assert stand_in is not None
    assert stand_in.cluster.image == "registry.acme.test/postgis:17.6"


def test_what_a_newer_version_has_written_is_not_guessed_at() -> None:
    assert from_copy({**copy_of(a_source(), NOW), "format": "postgres-dr/cluster-copy/2"}) is None


def write(folder: Path, *documents: dict[str, Any]) -> str:
    file = folder / "cluster.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return str(file)


def manifest(**metadata: str) -> dict[str, Any]:
    spec = cluster_object()["spec"]
    return {"kind": "Cluster", "metadata": {"name": "postgres-prod", **metadata}, "spec": spec}


def test_a_manifest_may_stand_among_others_and_without_a_namespace(tmp_path: Path) -> None:
    file = write(tmp_path, {"kind": "Service", "metadata": {"name": "x"}}, manifest())
    stand_in = read_manifest(file, name="postgres-prod", namespace="data")
    assert (stand_in.cluster.namespace, stand_in.origin) == ("data", file)


@pytest.mark.parametrize(
    ("document", "cause"),
    [
        ({"kind": "Service", "metadata": {"name": "postgres-prod"}}, "not the manifest of a CloudNativePG Cluster"),
        (manifest(name="other"), "is the manifest of other, not of postgres-prod"),
        ({**manifest(), "spec": {"instances": 1}}, "names no image"),
    ],
)
def test_another_manifest_is_refused(tmp_path: Path, document: dict[str, Any], cause: str) -> None:
    with pytest.raises(RequestError) as refused:
        read_manifest(write(tmp_path, document), name="postgres-prod", namespace="data")
    assert refused.value.code == "source-manifest-wrong"
    assert cause in refused.value.cause


def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text("a: [")
    with pytest.raises(RequestError, match="cannot be read"):
        read_manifest(str(file), name="postgres-prod", namespace="data")


def test_to_go_on_the_same_file_is_given(tmp_path: Path) -> None:
    stand_in = read_manifest(write(tmp_path, manifest()), name="postgres-prod", namespace="data")
    command = a_request(stand_in=stand_in).command(an_environment(), go_on=True)
    assert f"--source-manifest {stand_in.origin} --continue" in command


def test_without_either_the_error_names_both_ways() -> None:
    (problem,) = preconditions(an_environment(), a_request(), a_situation(source=None))
    assert problem.code == "source-missing"
    assert "--source-manifest" in problem.remedy
