"""The many ways to write where a Git repository is, and what of them may be shown."""

import posixpath
import re
from urllib.parse import unquote, urlsplit

_USERINFO = re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s]+@", re.IGNORECASE)
_SCP = re.compile(r"(?:[^/@\s]+@)?(?P<host>\[[^\]]+\]|[^/:\s]+):(?!//)(?P<path>.*)")
_OWN_PORTS = {"http": 80, "https": 443, "git": 9418}


def without_credentials(text: str) -> str:
    """``text`` without the user and password of any URL in it."""
    return _USERINFO.sub(r"\1", text)


def identity(url: str, *, root: str = "/") -> tuple[str, str]:
    """Host and path: equal for two URLs of one repository. ``root`` is the folder that a relative path is from.

    As Argo CD does (``NormalizeGitURL``), case, a closing ``.git`` and the way of access make no difference; nor does
    the port of SSH, which is never that of HTTP. The path of a local repository keeps its case.
    """
    url = url.strip()
    if "://" in url:
        parts = urlsplit(url)
        if parts.scheme.lower() != "file":
            port = parts.port if parts.scheme.lower() in _OWN_PORTS else None
            own = port is None or port == _OWN_PORTS[parts.scheme.lower()]
            host = (parts.hostname or "").lower()
            return host if own else f"{host}:{port}", _path(unquote(parts.path)).lower()
        url = unquote(parts.path)
    elif found := _SCP.fullmatch(url):
        return found["host"].strip("[]").lower(), _path(found["path"]).lower()
    return "", _path(posixpath.normpath(posixpath.join(root, url)))


def _path(path: str) -> str:
    return path.strip("/").removesuffix(".git").rstrip("/")
