"""The ground of the lab's own cloud: its bucket is the GCS server's, and its cluster is the lab itself."""

from __future__ import annotations

import base64
import subprocess
import sys
from urllib.parse import quote

import httpx

from lab.gcp.cloud import Values
from lab.gcp.errors import GoogleError, invalid
from lab.node import kubernetes
from lab.node.network import ADDRESS
from lab.paths import CHECKOUT, State
from lab.platform import gcs


class LabBackend:
    """Whoever makes the cluster gets a new, empty node; whoever removes it takes the node away, and all that it held.

    There is room for one cluster, which the cloud's quota says (`part`).
    """

    def __init__(self, where: State) -> None:
        self._where = where

    def make_bucket(self, name: str) -> None:
        """Have it at the GCS server."""
        if httpx.get(f"{gcs.URL}/storage/v1/b/{name}", timeout=10, trust_env=False).is_success:
            return
        made = httpx.post(f"{gcs.URL}/storage/v1/b", json={"name": name}, timeout=10, trust_env=False)
        if made.is_error:
            raise invalid(made.text)

    def objects_in(self, bucket: str) -> int:
        """How many the GCS server has."""
        found = httpx.get(f"{gcs.URL}/storage/v1/b/{bucket}/o", timeout=60, trust_env=False)
        return len(found.json().get("items") or []) if found.is_success else 0

    def remove_bucket(self, name: str) -> None:
        """Have no such bucket at the GCS server, by asking it as Google is asked."""
        path = f"{gcs.URL}/storage/v1/b/{name}"
        for found in httpx.get(f"{path}/o", timeout=60, trust_env=False).json().get("items") or []:
            httpx.delete(f"{path}/o/{quote(found['name'], safe='')}", timeout=10, trust_env=False)
        httpx.delete(path, timeout=10, trust_env=False)

    def make_cluster(self, properties: Values) -> Values:
        """Bring a new, empty node up, unless one is there (the seed's is); how it is reached."""
        del properties
        if not kubernetes.healthy(self._where):
            self._lab("new")
        authority = (self._where.node / "pki" / "ca.crt").read_bytes()
        return {
            "endpoint": ADDRESS,
            "masterAuth": {"clusterCaCertificate": base64.b64encode(authority).decode()},
            "dnsEndpoint": f"{ADDRESS}:{kubernetes.PORT}",
        }

    def remove_cluster(self, properties: Values) -> None:
        """Take the node away."""
        del properties
        self._lab("gone")

    def token(self) -> str:
        """The administrator's: whoever works on the lab is the administrator of both."""
        try:
            return (self._where.node / "pki" / "token").read_text()
        except OSError:
            return "there-is-no-cluster"

    def _lab(self, what: str) -> None:
        command = [sys.executable, "-m", "lab", "cluster", what]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise GoogleError(500, f"Internal error encountered: {said}", "internalError")
