"""Kubernetes itself: etcd, API server, controllers, scheduler, kubelet and kube-proxy, each a process of one binary."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import yaml

from lab import processes
from lab.cache_keys import replace_text
from lab.errors import LabError, last_lines
from lab.node import certificates, namespace
from lab.node.network import ADDRESS, DNS_SERVICE, PODS, SERVICES
from lab.paths import State

NODE_NAME = "lab"
PORT = 6443
SERVER = f"https://{ADDRESS}:{PORT}"
ETCD = "http://127.0.0.1:12379"
ETCD_PEERS = "http://127.0.0.1:12380"
"""Not etcd's usual ports, which another etcd of the machine may hold."""
CONTEXTS = ("lab-dev", "lab-prod")
ANSWERS_WITHIN = 60.0


def control_plane_up(where: State, kube: Path) -> str | None:
    """Have etcd, the API server, the controllers and the scheduler running, and the API server ready.

    Args:
        where: the lab.
        kube: the binary (`lab.tools.programs.KUBE`).

    Raises:
        LabError: one of them died or did not get ready in time.
    """
    pki = where.node / "pki"
    certificates.up(pki)
    replace_text(where.authorities, certificates.trusted_with(pki / "ca.crt"))
    _write_kubeconfigs(where)
    replace_text(pki / "tokens.csv", f'{(pki / "token").read_text()},admin,admin,"system:masters"\n', mode=0o600)
    started = [processes.ensure(where, name, command) for name, command in _control_plane(where, kube).items()]
    if not any(started):
        return "is up"
    _await(where, "apiserver", _api_ready(where))
    return None


def node_up(where: State, kube: Path) -> str | None:
    """Have kubelet and kube-proxy running and the node ready for pods.

    Raises:
        LabError: one of them died or did not get ready in time.
    """
    config = json.dumps(_kubelet(where), indent=1)
    replace_text(where.node / "kubelet.json", config)
    kubelet: list[str | Path] = [*namespace.inside(where), kube, "kubelet", f"--config={where.node / 'kubelet.json'}"]
    kubelet += [f"--kubeconfig={where.admin_kubeconfig}", f"--hostname-override={NODE_NAME}", f"--node-ip={ADDRESS}"]
    kubelet += [f"--root-dir={where.node / 'kubelet'}", f"--cert-dir={where.node / 'kubelet-pki'}"]
    settings = [config, namespace.identity(where)]
    started = processes.ensure(where, "kubelet", kubelet, settings=settings)
    proxy: list[str | Path] = [
        kube,
        "kube-proxy",
        f"--kubeconfig={where.admin_kubeconfig}",
        f"--hostname-override={NODE_NAME}",
    ]
    # --conntrack-max-per-core=0 leaves the machine's own limit alone.
    proxy += ["--proxy-mode=iptables", f"--cluster-cidr={PODS}", "--conntrack-max-per-core=0"]
    proxy += [f"--healthz-bind-address={ADDRESS}:10256", f"--metrics-bind-address={ADDRESS}:10249"]
    started |= processes.ensure(where, "proxy", proxy)
    if not started:
        return "is up"
    _await(where, "kubelet", lambda: _answers(f"http://{ADDRESS}:10248/healthz"))
    _await(where, "proxy", lambda: _answers(f"http://{ADDRESS}:10256/healthz"))
    return None


def healthy(where: State) -> bool:
    """Whether the API server says that it is ready; never raises."""
    return (where.node / "pki" / "token").exists() and _api_ready(where)()


def _control_plane(where: State, kube: Path) -> dict[str, list[str | Path]]:
    pki = where.node / "pki"
    admin = f"--kubeconfig={where.admin_kubeconfig}"
    return {
        "etcd": [
            *(kube, "etcd", "--data-dir", where.node / "etcd", "--name", NODE_NAME, "--logger=zap", "--log-level=warn"),
            *("--listen-client-urls", ETCD, "--advertise-client-urls", ETCD),
            *("--listen-peer-urls", ETCD_PEERS, "--initial-advertise-peer-urls", ETCD_PEERS),
            *("--initial-cluster", f"{NODE_NAME}={ETCD_PEERS}"),
            "--unsafe-no-fsync",  # a lab that loses power is made anew
        ],
        "apiserver": [
            *(kube, "kube-apiserver", f"--etcd-servers={ETCD}", f"--secure-port={PORT}"),
            *(f"--bind-address={ADDRESS}", f"--advertise-address={ADDRESS}"),
            *(f"--tls-cert-file={pki / 'api.crt'}", f"--tls-private-key-file={pki / 'api.key'}"),
            f"--service-cluster-ip-range={SERVICES}",
            *(f"--service-account-key-file={pki / 'sa.key'}", f"--service-account-signing-key-file={pki / 'sa.key'}"),
            "--service-account-issuer=https://kubernetes.default.svc",
            *(f"--client-ca-file={pki / 'ca.crt'}", f"--token-auth-file={pki / 'tokens.csv'}"),
            *("--authorization-mode=Node,RBAC", "--allow-privileged=true"),
            # The node's name resolves nowhere: by name, exec and logs would fail.
            "--kubelet-preferred-address-types=InternalIP",
        ],
        "controllers": [
            *(kube, "kube-controller-manager", admin, "--leader-elect=false", "--secure-port=0"),
            *(f"--service-account-private-key-file={pki / 'sa.key'}", f"--root-ca-file={pki / 'ca.crt'}"),
            *(f"--cluster-signing-cert-file={pki / 'ca.crt'}", f"--cluster-signing-key-file={pki / 'ca.key'}"),
            *("--allocate-node-cidrs=false", f"--flex-volume-plugin-dir={where.node / 'volume-plugins'}"),
        ],
        "scheduler": [kube, "kube-scheduler", admin, "--leader-elect=false", "--secure-port=0"],
    }


def _kubelet(where: State) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "healthzBindAddress": ADDRESS,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{where.containerd_socket}",
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "podLogsDir": str(where.logs / "pods"),
        "volumePluginDir": str(where.node / "volume-plugins"),
        # There is nowhere to pull an image from again: none is ever collected, and no pod evicted for it.
        "evictionHard": {"imagefs.available": "1%", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def _write_kubeconfigs(where: State) -> None:
    pki = where.node / "pki"
    administrator = {
        "client-certificate": str(pki / "admin.crt"),
        "client-key": str(pki / "admin.key"),
        "token": (pki / "token").read_text(),
    }
    base = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": {"server": SERVER, "certificate-authority": str(pki / "ca.crt")}}],
        "users": [{"name": "lab-admin", "user": administrator}],
    }
    for path, names, current in ((where.kubeconfig, CONTEXTS, ""), (where.admin_kubeconfig, ("lab",), "lab")):
        contexts = [{"name": name, "context": {"cluster": "lab", "user": "lab-admin"}} for name in names]
        document = {**base, "contexts": contexts, "current-context": current}
        replace_text(path, yaml.safe_dump(document, sort_keys=False), mode=0o600)


def _api_ready(where: State) -> Callable[[], bool]:
    pki = where.node / "pki"
    headers = {"Authorization": f"Bearer {(pki / 'token').read_text()}"}
    return lambda: _answers(f"{SERVER}/readyz", headers, pki / "ca.crt")


def _answers(url: str, headers: dict[str, str] | None = None, authority: Path | None = None) -> bool:
    verify = ssl.create_default_context(cafile=str(authority)) if authority else False
    try:
        return httpx.get(url, headers=headers, verify=verify, timeout=2, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _await(where: State, name: str, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ANSWERS_WITHIN
    log = processes.log_path(where, name)
    while not ready():
        record = processes.read(where, name)
        if record is None or not record.alive():
            raise LabError(f"starting {name}", f"it ended at once\n{last_lines(log)}", "see its log", log)
        if time.monotonic() > deadline:
            why = f"it was not ready within {ANSWERS_WITHIN:.0f} s\n{last_lines(log)}"
            raise LabError(f"starting {name}", why, "see its log; is the machine very busy?", log)
        time.sleep(0.1)
