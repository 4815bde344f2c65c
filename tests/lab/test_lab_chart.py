"""A double of Argo CD's chart, as Helm expects a chart and the repository that it is in."""

import io
import tarfile
from pathlib import Path

import pytest
import yaml

from lab.paths import State
from lab.platform import argocd, chart

VERSION = "9.1.0"


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A folder as Argo CD's program has it: its kinds and its settings."""
    for folder, kind, name in (
        ("crds", "CustomResourceDefinition", "applications.argoproj.io"),
        ("config", "ConfigMap", "argocd-cm"),
    ):
        (tmp_path / "argocd" / folder).mkdir(parents=True)
        document = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": {"text": "{{ .Name }}"}}
        (tmp_path / "argocd" / folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
    return tmp_path / "argocd"


def test_kinds_are_where_helm_installs_them_first(upstream: Path) -> None:
    found = chart.files(argocd.objects(upstream), VERSION)
    kinds = {path: yaml.safe_load(text)["kind"] for path, text in found.items() if "/" in path}
    first = {kind for path, kind in kinds.items() if path.startswith("crds/")}
    then = {kind for path, kind in kinds.items() if path.startswith("templates/")}
    assert first == {"CustomResourceDefinition"}
    assert then == {"ConfigMap", "AppProject"}, "the namespace is the release's"


def test_what_looks_like_a_place_to_fill_in_is_none(upstream: Path) -> None:
    found = chart.files(argocd.objects(upstream), VERSION)
    (settings,) = [text for path, text in found.items() if path.endswith("argocd-cm.yaml")]
    assert '{{"{{"}} .Name }}' in settings


def test_the_repository_offers_the_version_that_is_asked_for(upstream: Path, tmp_path: Path) -> None:
    where = State(tmp_path / "state")
    chart.write(where, upstream, VERSION)
    (entry,) = yaml.safe_load((where.charts / "index.yaml").read_text())["entries"]["argo-cd"]
    assert entry["version"] == VERSION
    with tarfile.open(fileobj=io.BytesIO((where.charts / entry["urls"][0]).read_bytes())) as archive:
        packed = archive.extractfile("argo-cd/Chart.yaml")
        assert packed is not None
        assert yaml.safe_load(packed)["version"] == VERSION
