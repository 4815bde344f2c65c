"""The keys by which Argo CD reads the Git repository, from a file or Google's Secret Manager. Never printed."""

import base64
from collections.abc import Mapping
from pathlib import Path

import yaml

from dr.config.argocd_stack import RepositoryCredentials
from dr.core.errors import AccessError
from dr.infra.google import GoogleApi
from dr.stacks.resource import Api


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
            f"{place} is no mapping of texts",
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
