"""Argo CD, as processes of the node like Kubernetes itself: what Git declares stays so, if `lab.gitops` turns it on.

There is no API server of Argo CD here, and no user interface: Applications are looked at and paused by `kubectl`.
"""

from __future__ import annotations

import shutil
import socket
from functools import partial
from pathlib import Path

import httpx
import yaml

from lab import manifests, processes
from lab.cache_keys import content_key, replace_text
from lab.cluster import Cluster, Document
from lab.errors import LabError
from lab.paths import State
from lab.platform.readiness import await_answer

NAMESPACE = "argocd"
API = "argoproj.io/v1alpha1"
MANIFEST = Path(__file__).parent / "manifests" / "argocd.yaml"

REDIS = "argocd-redis"
REPOSITORIES = "argocd-repo"
CONTROLLER = "argocd"
APPLICATION_SETS = "argocd-sets"

# Not Argo CD's usual ports, which other programs of the machine like too.
REPOSITORIES_PORT = 18081
METRICS_PORTS = {REPOSITORIES: 18084, CONTROLLER: 18082, APPLICATION_SETS: 18086}
WEBHOOK_PORT = 18087
"""Not listened on, as long as the Secret argocd-secret holds no key for signing."""

_ANSWERS = {REPOSITORIES: "healthz", CONTROLLER: "healthz", APPLICATION_SETS: "metrics"}
"""The page by which each says that it works; the last one has no check of its own."""

REVISIONS_KEPT = "1s"
"""How long the head of a branch is believed without looking at the repository (by default three minutes)."""
CONTROLLER_PACE = {
    "--app-resync": "15",
    "--app-resync-jitter": "0",
    "--self-heal-backoff-timeout-seconds": "0",
}
"""The only flags unlike production's, so that what is waited for comes soon, and what is not to happen has had its
time. By default a second drift is undone after 2 s, the next after 6, 18, ... 300 s: a change that stands for a minute
proves nothing then. And a commit is noticed after 2 to 6 minutes."""

_FOLDERS = {
    "ARGOCD_GNUPGHOME": "gpg-keys",
    "ARGOCD_GPG_DATA_PATH": "gpg-source",
    "ARGOCD_SSH_DATA_PATH": "ssh",
    "ARGOCD_TLS_DATA_PATH": "tls",
}
"""Variables that stand in for paths below /app, which only a container has -> folder of the state."""

PRIVATE_SHARED_MEMORY = 'mount -t tmpfs -o mode=1777 tmpfs /dev/shm && exec "$@"'
"""Argo CD writes manifests and credentials to /dev/shm. One that is killed would leave them there."""
WHEN_INSTALLED = f'until "$0" kubectl get appproject default --namespace {NAMESPACE}; do sleep 0.5; done; exec "$@"'
"""On a new cluster its kinds and settings come by its chart, and elsewhere its pods with them: none begins before."""


def up(where: State, folder: Path, kube: Path, cluster: Cluster) -> str | None:
    """Have Argo CD running, with nothing for it to do.

    Args:
        where: the lab.
        folder: of the program, with upstream's manifests beside it (`lab.tools.programs.ARGOCD`).
        kube: the binary that is kubectl too.
        cluster: where it finds its Applications, and keeps them true.

    Raises:
        LabError: a process died or did not get ready in time, or the cluster refused an object.
    """
    applied = _apply(where, folder, cluster)
    started = start(where, folder, kube)
    if not applied and not started:
        return "is up"
    await_answer(where, REDIS, lambda: _accepts(_redis_socket(where)))
    for name, page in _ANSWERS.items():
        await_answer(where, name, partial(_answers, f"http://127.0.0.1:{METRICS_PORTS[name]}/{page}"))
    return None


def start(where: State, folder: Path, kube: Path) -> bool:
    """Have its processes, which begin when it is installed. Whether one was started."""
    for name in (*_FOLDERS.values(), "redis", "tmp"):
        (where.argocd / name).mkdir(parents=True, exist_ok=True)
    where.argocd.chmod(0o700)  # whoever can write to Redis decides what is applied
    _redis(where).unlink(missing_ok=True)
    _redis(where).symlink_to(_redis_program())
    started = [
        processes.ensure(where, name, command, env=environment(where))
        for name, command in commands(where, folder / "argocd", kube).items()
    ]
    return any(started)


def commands(where: State, binary: Path, kube: Path) -> dict[str, list[str | Path]]:
    """Name of each process -> its command."""
    redis = str(_redis_socket(where))
    apart: list[str | Path] = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", PRIVATE_SHARED_MEMORY, "sh"]
    program = [*apart, binary]
    installed: list[str | Path] = [*apart, "sh", "-c", WHEN_INSTALLED, kube, binary]
    cluster: list[str | Path] = ["--kubeconfig", where.admin_kubeconfig, "--namespace", NAMESPACE]
    repositories = f"127.0.0.1:{REPOSITORIES_PORT}"
    return {
        REDIS: [_redis(where), "--port", "0", "--unixsocket", redis, "--save", "", "--dir", where.argocd / "redis"],
        REPOSITORIES: [
            *(*program, "repo-server", "--address", "127.0.0.1", "--port", str(REPOSITORIES_PORT)),
            *("--metrics-address", "127.0.0.1", "--metrics-port", str(METRICS_PORTS[REPOSITORIES])),
            *("--disable-tls", "--redis", redis, "--revision-cache-expiration", REVISIONS_KEPT, "--logformat", "text"),
        ],
        CONTROLLER: [
            *(*installed, "application-controller", *cluster, "--redis", redis),
            *("--repo-server", repositories, "--repo-server-plaintext"),
            # It knows no address for this one: it listens everywhere.
            *("--metrics-port", str(METRICS_PORTS[CONTROLLER]), "--logformat", "text"),
            *(word for flag in CONTROLLER_PACE.items() for word in flag),
        ],
        APPLICATION_SETS: [
            *(*installed, "applicationset-controller", *cluster),
            *("--argocd-repo-server", repositories, "--repo-server-plaintext"),
            *("--metrics-addr", f"127.0.0.1:{METRICS_PORTS[APPLICATION_SETS]}"),
            *("--probe-addr", "0", "--webhook-addr", f"127.0.0.1:{WEBHOOK_PORT}"),
            *("--logformat", "text"),
        ],
    }


def environment(where: State) -> dict[str, str]:
    """What each of the processes is told by variables."""
    return {
        **{name: str(where.argocd / folder) for name, folder in _FOLDERS.items()},
        "ARGOCD_ASK_PASS_SOCK": str(where.argocd / "askpass.sock"),
        "ARGOCD_GPG_ENABLED": "false",
        # Together they make `https://kubernetes.default.svc` mean this cluster to a process that is in no pod of it.
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "KUBECONFIG": str(where.admin_kubeconfig),
        "KUBECACHEDIR": str(where.argocd / "cache"),
        "TMPDIR": str(where.argocd / "tmp"),
    }


def objects(folder: Path) -> list[Document]:
    """What Argo CD finds in the cluster when it starts: upstream's kinds and settings, and a project."""
    found = [yaml.safe_load(file.read_text()) for file in sorted((folder / "crds").glob("*.yaml"))]
    found += manifests.read(MANIFEST, namespace=NAMESPACE)
    for file in sorted((folder / "config").glob("*.yaml")):
        document = yaml.safe_load(file.read_text())
        document["metadata"]["namespace"] = NAMESPACE
        found.append(document)
    return found


def _apply(where: State, folder: Path, cluster: Cluster) -> bool:
    mark = where.node / "argocd-applied"
    key = content_key(folder / "crds", folder / "config", MANIFEST)
    if mark.exists() and mark.read_text() == key:
        return False
    cluster.apply(objects(folder))
    replace_text(mark, key)
    return True


def _redis(where: State) -> Path:
    """Debian has one file for the server and for a checker of its files: which of them it is, it sees by its name."""
    return where.argocd / "redis-server"


def _redis_program() -> str:
    found = shutil.which("redis-check-rdb")
    if found is None:
        raise LabError("finding Redis", "there is no redis-check-rdb", "install the Debian package redis-tools")
    return found


def _redis_socket(where: State) -> Path:
    return where.argocd / "redis.sock"


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


def _answers(page: str) -> bool:
    return httpx.get(page, timeout=2, trust_env=False).status_code == httpx.codes.OK
