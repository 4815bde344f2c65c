"""The way into a GKE cluster without a key file, and the keys by which Argo CD reads the Git repository.

The cluster's DNS endpoint has a certificate of Google's own, and lets in by IAM, from anywhere. The token lasts an
hour, so longer work writes the file again.
"""

import base64
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import google.auth
import yaml
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from dr.config.infrastructure import RepositoryCredentials
from dr.core.commands import command_line
from dr.core.errors import AccessError
from dr.infra.google import SCOPES, GoogleApi
from dr.stacks.resources import Api

_OWNER_ONLY = 0o600


def cluster_endpoint(project: str, location: str, name: str) -> str:
    """The URL of the cluster's DNS endpoint, as Google tells it. Raises AccessError."""
    where = f"projects/{project}/locations/{location}/clusters/{name}"
    found = GoogleApi().find(Api.CONTAINER, where)
    config = ((found or {}).get("controlPlaneEndpointsConfig") or {}).get("dnsEndpointConfig") or {}
    if not config.get("endpoint"):
        raise AccessError(
            "endpoint-missing",
            f"Google knows of no DNS endpoint of {where}" if found else f"there is no GKE cluster {where}",
            "full-rebuild makes it; a cluster without one is reached by gcloud's own kubeconfig",
        )
    return f"https://{config['endpoint']}"


def write_kubeconfig(path: Path, *, contexts: Iterable[str], server: str) -> None:
    """Write a kubeconfig with just ``contexts``, which all lead to ``server`` as who is logged in at Google. Raises
    AccessError.
    """
    names = {"cluster": "gke", "user": "google"}
    trusted = os.environ.get("SSL_CERT_FILE")
    # The client would look at a bundle of its own otherwise, on a machine whose trust is given by the variable.
    authority = {"certificate-authority": trusted} if trusted else {}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": names["cluster"], "cluster": {"server": server, **authority}}],
        "users": [{"name": names["user"], "user": {"token": _token()}}],
        "contexts": [{"name": context, "context": names} for context in dict.fromkeys(contexts)],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.new")
    beside.touch(_OWNER_ONLY)
    beside.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    beside.replace(path)


def _token() -> str:
    try:
        credentials, _ = google.auth.default(scopes=SCOPES)
        credentials.refresh(Request())  # type: ignore[no-untyped-call]  # it has no types
    except GoogleAuthError as error:
        raise AccessError(
            "google-credentials",
            f"there are no credentials for Google that work: {str(error)[:300]}",
            f"log in ({command_line('gcloud', 'auth', 'application-default', 'login')}), or run where a Workload "
            "Identity gives them",
        ) from error
    return str(credentials.token)


def read_credentials(where: RepositoryCredentials | None) -> Mapping[str, str] | None:
    """The keys of Argo CD's repository Secret, None where the repository needs none. Raises AccessError."""
    if where is None:
        return None
    text, place = _file(where.file) if where.file else _secret(where.secret or "")
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict) or not found or not all(isinstance(value, str) for value in found.values()):
        raise AccessError(
            "repository-credentials-wrong",
            f"{place} is not a mapping of texts",
            "write the keys of Argo CD's repository Secret, such as username: and password:, or sshPrivateKey:",
        )
    return {str(key): value for key, value in found.items()}


def _file(name: str) -> tuple[str, str]:
    path = Path(name).expanduser()
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise AccessError(
            "repository-credentials-wrong",
            f"{path} cannot be read: {error}",
            "correct credentials.file in the Argo CD stack's file, or give the file",
        ) from error


def _secret(name: str) -> tuple[str, str]:
    found = GoogleApi().find(Api.SECRET_MANAGER, f"{name}:access")
    if found is None:
        raise AccessError(
            "repository-credentials-wrong",
            f"there is no {name} in Secret Manager",
            "correct credentials.secret in the Argo CD stack's file, or make the secret",
        )
    return base64.b64decode(found["payload"]["data"]).decode(), name
