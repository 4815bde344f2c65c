"""A double of Argo CD's Helm chart, and the repository that it is in: there is none to download from here.

It brings what the true chart brings, but for the pods: the kinds, the settings, the default project. Argo CD's
processes run on the node (`argocd`), and begin when that is there.
"""

from __future__ import annotations

import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import yaml

from lab import versions
from lab.cache_keys import replace_text
from lab.cluster import Document
from lab.paths import State
from lab.platform import argocd

NAME = "argo-cd"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""Of every file in the archive and of the index: the same chart has the same bytes."""


def write(where: State, folder: Path, version: str) -> None:
    """Have a Helm repository in `where.charts`, with one chart of this version in it.

    Args:
        where: the lab.
        folder: of Argo CD's program, with upstream's manifests beside it.
        version: that the stack's file asks for.
    """
    archive = f"{NAME}-{version}.tgz"
    where.charts.mkdir(parents=True, exist_ok=True)
    (where.charts / archive).write_bytes(packed(files(argocd.objects(folder), version)))
    entry = {**_chart(version), "urls": [archive], "created": EPOCH.isoformat()}
    index = {"apiVersion": "v1", "entries": {NAME: [entry]}, "generated": EPOCH.isoformat()}
    replace_text(where.charts / "index.yaml", yaml.safe_dump(index, sort_keys=False))


def files(objects: list[Document], version: str) -> dict[str, str]:
    """The chart's files: kinds where Helm installs them first, and all else as templates without a place to fill in."""
    found = {"Chart.yaml": yaml.safe_dump(_chart(version)), "values.yaml": ""}
    for number, item in enumerate(item for item in objects if item["kind"] != "Namespace"):
        text = yaml.safe_dump(item, sort_keys=False)
        if item["kind"] == "CustomResourceDefinition":
            found[f"crds/{item['metadata']['name']}.yaml"] = text
        else:
            name = f"templates/{number:02}-{item['metadata']['name']}.yaml"
            found[name] = text.replace("{{", '{{"{{"}}')
    return found


def packed(found: dict[str, str]) -> bytes:
    """The files as Helm's archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for path, text in found.items():
            content = text.encode()
            entry = tarfile.TarInfo(f"{NAME}/{path}")
            entry.size, entry.mtime = len(content), int(EPOCH.timestamp())
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _chart(version: str) -> Document:
    description = "A double of Argo CD's chart: its kinds and settings, without its pods"
    return {
        "apiVersion": "v2",
        "name": NAME,
        "version": version,
        "appVersion": f"v{versions.ARGOCD}",
        "description": description,
    }
