"""CloudNativePG's Barman Cloud plugin: upstream's manifest, with the images made here and certificates of the lab's.

Upstream has cert-manager make the certificates. The operator takes the server's own as the only one it trusts, and the
plugin the client's (CNPG-I, "mTLS"): so each is signed by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

from lab import versions
from lab.cache_keys import content_key, replace_text
from lab.cluster import Cluster, Document, condition
from lab.node.certificates import self_signed
from lab.paths import State
from lab.platform.cnpg import NAMESPACE

DEPLOYMENT = "barman-cloud"
READY_WITHIN = 120.0
SERVER, CLIENT = "barman-cloud-server-tls", "barman-cloud-client-tls"
"""The Secrets that upstream's Service and Deployment name."""
_CERT_MANAGER = "cert-manager.io/"


def up(where: State, manifest: Path, image_key: str, cluster: Cluster) -> str | None:
    """Have the plugin ready; the operator finds it by the labels of its Service.

    Args:
        where: the lab.
        manifest: upstream's `manifest.yaml`.
        image_key: key of the plugin's image; a new image calls for a new rollout.
        cluster: where to put it.

    Raises:
        LabError: it was not ready in time.
    """
    mark = where.node / "barman-plugin-applied"
    key = content_key(manifest, image_key, Path(__file__))
    if mark.exists() and mark.read_text() == key and is_ready(cluster):
        return "is up"
    cluster.apply(secret for secret in _secrets() if cluster.get("v1", "Secret", _name(secret), NAMESPACE) is None)
    cluster.apply(prepared(yaml.safe_load_all(manifest.read_text()), image_key))
    cluster.wait(
        "apps/v1",
        "Deployment",
        DEPLOYMENT,
        NAMESPACE,
        _available,
        timeout=READY_WITHIN,
        what="starting the Barman Cloud plugin",
    )
    replace_text(mark, key)
    return None


def is_ready(cluster: Cluster) -> bool:
    """Whether the plugin runs as wanted."""
    found = cluster.get("apps/v1", "Deployment", DEPLOYMENT, NAMESPACE)
    return found is not None and _available(found)


def prepared(documents: Iterable[Document], image_key: str) -> list[Document]:
    """Upstream's objects without cert-manager's, with the lab's images, and ready as soon as it listens."""
    found = [document for document in documents if not document["apiVersion"].startswith(_CERT_MANAGER)]
    for document in found:
        if document["kind"] == "Secret" and "SIDECAR_IMAGE" in document["data"]:
            del document["data"]
            document["stringData"] = {"SIDECAR_IMAGE": versions.PLUGIN_SIDECAR_IMAGE}
        if document["kind"] == "Deployment":
            template = document["spec"]["template"]
            template["metadata"].setdefault("annotations", {})["lab/image"] = image_key
            (container,) = template["spec"]["containers"]
            container["image"] = versions.PLUGIN_IMAGE
            container["imagePullPolicy"] = "IfNotPresent"
            container["readinessProbe"] |= {"initialDelaySeconds": 0, "periodSeconds": 1}
    return found


def _secrets() -> list[Document]:
    made = {SERVER: self_signed(DEPLOYMENT, server=True), CLIENT: self_signed(f"{DEPLOYMENT}-client", server=False)}
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "stringData": {"tls.key": key.decode(), "tls.crt": certificate.decode()},
        }
        for name, (key, certificate) in made.items()
    ]


def _name(document: Document) -> str:
    return str(document["metadata"]["name"])


def _available(found: Document) -> bool:
    seen = (found.get("status") or {}).get("observedGeneration") == found["metadata"]["generation"]
    return seen and condition(found, "Available") == "True"
