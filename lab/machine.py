"""What the lab needs of the machine, what it changes there, and how that is put back."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from lab.cache_keys import replace_text
from lab.errors import NotThisMachineError
from lab.paths import State
from lab.shell import run
from lab.steps import Task

PROGRAMS = {
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables-save": "iptables",
    "conntrack": "conntrack",
    "git": "git",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    # Debian keeps Redis' server under this name here; the package redis-server would add a service to it.
    "redis-check-rdb": "redis-tools",
    "socat": "socat",
    "unshare": "util-linux",
}
"""Program -> the Debian package that brings it. A program that is there is used, wherever it is from."""

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")

FILES = {
    "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}

SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/bridge/bridge-nf-call-iptables",
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""What the lab, kubelet (`setupKernelTunables`) and kube-proxy (`ProxyServer.setupConntrack`) set."""

NODE_FOLDERS = {
    "/run/containerd": "run-containerd",
    "/run/netns": "run-netns",
    "/var/lib/cni": "var-lib-cni",
    "/var/lib/kubelet": "var-lib-kubelet",
    "/var/log/containers": "var-log-containers",
}
"""Folders whose place is fixed in containerd, CNI or kubelet -> the folder of the state that stands in for each. Only
the node's own mount namespace sees it there (`lab.node.namespace`): a container runtime of the machine is not met."""

WITHOUT_SERVICES = Path("/usr/sbin/policy-rc.d")
"""Debian's hook that says whether an installed package may start its services (invoke-rc.d(8), 101 forbids)."""


def check() -> None:
    """Refuse a machine that cannot hold the lab, before anything is done.

    Raises:
        NotThisMachineError: not Linux, not root, no apt, or an architecture that is not supported.
    """
    what = "looking at this machine"
    # A root shell by plain `su` has a user's PATH.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS])
    if sys.platform != "linux":
        raise NotThisMachineError(
            what, f"the lab needs Linux, this is {sys.platform}", "run it on a Linux machine as root"
        )
    if os.geteuid() != 0:
        raise NotThisMachineError(
            what,
            "the lab needs root: it makes network bridges, mounts and containers",
            "run it as root (`sudo -E ...`), best on a machine or virtual machine of its own",
        )
    if shutil.which("apt-get") is None:
        raise NotThisMachineError(what, "there is no apt-get", "run it on Debian or Ubuntu")
    if os.uname().machine not in ("x86_64", "aarch64"):
        raise NotThisMachineError(what, f"{os.uname().machine} is not supported", "run it on x86_64 or aarch64")


def install_packages(task: Task) -> str | None:
    """Install the Debian packages that bring what is missing; their services are not started.

    Raises:
        LabError: apt failed.
    """
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    missing |= {package for file, package in FILES.items() if not Path(file).exists()}
    if not missing:
        return "all there"
    remedy = "check that apt can reach its mirror (`apt-get update`)"
    what = f"installing {', '.join(sorted(missing))}"
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    forbid = not WITHOUT_SERVICES.exists()
    if forbid:
        WITHOUT_SERVICES.write_text("#!/bin/sh\nexit 101\n")
        WITHOUT_SERVICES.chmod(0o755)
    try:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *sorted(missing)]):
            run(["apt-get", *command], what=what, remedy=remedy, log=task.log, env=env, cancelled=task.cancelled)
    finally:
        if forbid:
            WITHOUT_SERVICES.unlink()
    return None


def remember(where: State) -> None:
    """Write down what `up` is about to change; an earlier record is kept, as the machine is already changed then."""
    if where.machine_before.exists():
        return
    sysctls = {}
    for name in SYSCTLS:
        file = Path("/proc/sys") / name
        if file.exists():
            sysctls[name] = file.read_text().strip()
    absent = [folder for folder in NODE_FOLDERS if not Path(folder).exists()]
    replace_text(where.machine_before, json.dumps({"sysctls": sysctls, "absent_folders": absent}, indent=1))


def put_back(where: State) -> None:
    """Undo what `remember` wrote down, as far as it still differs. Without a record nothing was changed."""
    try:
        before = json.loads(where.machine_before.read_text())
    except (OSError, ValueError):
        return
    for name, value in before["sysctls"].items():
        file = Path("/proc/sys") / name
        if file.exists() and file.read_text().strip() != value:
            try:
                file.write_text(value)
            except OSError:
                continue  # some are read-only in a container; then the lab could not have changed them either
    for folder in before["absent_folders"]:
        try:
            Path(folder).rmdir()
        except OSError:
            continue  # gone already, or somebody else has put something into it since
