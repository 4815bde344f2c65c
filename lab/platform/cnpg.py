"""The CloudNativePG operator with its webhooks: upstream's release manifest, with the image made here."""

from __future__ import annotations

from pathlib import Path

import yaml

from lab import versions
from lab.cache_keys import content_key, replace_text
from lab.cluster import Cluster, Document, condition
from lab.paths import State

NAMESPACE = "cnpg-system"
DEPLOYMENT = "cnpg-controller-manager"
READY_WITHIN = 180.0


def up(where: State, manifest: Path, image_key: str, cluster: Cluster) -> str | None:
    """Have the operator and its webhooks ready.

    Args:
        where: the lab.
        manifest: upstream's `cnpg-<version>.yaml`.
        image_key: key of the operator's image; a new image calls for a new rollout.
        cluster: where to put it.

    Raises:
        LabError: it was not ready in time.
    """
    mark = where.node / "cnpg-applied"
    key = content_key(manifest, image_key, Path(__file__))
    if mark.exists() and mark.read_text() == key and is_ready(cluster):
        return "is up"
    cluster.apply(prepared(list(yaml.safe_load_all(manifest.read_text())), image_key))
    cluster.wait(
        "apps/v1",
        "Deployment",
        DEPLOYMENT,
        NAMESPACE,
        lambda found: _available(found),
        timeout=READY_WITHIN,
        what="starting the CNPG operator",
    )
    replace_text(mark, key)
    return None


def is_ready(cluster: Cluster) -> bool:
    """Whether the operator runs as wanted."""
    found = cluster.get("apps/v1", "Deployment", DEPLOYMENT, NAMESPACE)
    return found is not None and _available(found)


def prepared(documents: list[Document], image_key: str) -> list[Document]:
    """Upstream's objects with the lab's image in the operator's Deployment, and in what it gives to instance pods."""
    for document in documents:
        if document["kind"] != "Deployment":
            continue
        template = document["spec"]["template"]
        template["metadata"].setdefault("annotations", {})["lab/image"] = image_key
        for container in template["spec"]["containers"]:
            container["image"] = versions.OPERATOR_IMAGE
            container["imagePullPolicy"] = "IfNotPresent"
            for variable in container.get("env", []):
                if variable["name"] == "OPERATOR_IMAGE_NAME":
                    variable["value"] = versions.OPERATOR_IMAGE
    return documents


def _available(found: Document) -> bool:
    seen = (found.get("status") or {}).get("observedGeneration") == found["metadata"]["generation"]
    return seen and condition(found, "Available") == "True"
