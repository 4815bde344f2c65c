"""The node's network: one bridge, on which the node, its pods and the lab's servers meet.

The machine itself is the node, so that `dr` on the machine reaches pods and Services without any forwarding.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from lab.cache_keys import replace_text
from lab.errors import LabError
from lab.paths import State
from lab.shell import output

BRIDGE = "lab0"
ADDRESS = "10.88.0.1"
"""The node's. The API server, cluster DNS and the GCS server listen here."""
PODS = "10.88.0.0/16"
SERVICES = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
"""The first of `SERVICES`: the API server gives itself that one."""
DNS_SERVICE = "10.96.0.10"
NETWORK_NAME = "dr-lab"
COMMENT = "dr-lab"
"""On every iptables rule of the lab's own, so that `down` knows them."""

_REMEDY = "run as root with CAP_NET_ADMIN; `python -m lab down` first if an earlier lab lies in the way"


def up(where: State) -> str | None:
    """Have the bridge, its route, forwarding, and the configuration by which pods join."""
    folder = where.node / "cni"
    changed = replace_text(folder / "10-bridge.conflist", json.dumps(_cni(where), indent=1))
    if _bridge_is_up():
        return None if changed else "is up"
    _refuse_taken_subnet()
    for command in (
        ["link", "add", BRIDGE, "type", "bridge"],
        ["addr", "add", f"{ADDRESS}/16", "dev", BRIDGE],
        ["link", "set", BRIDGE, "up"],
        # Without it a request to a Service would leave by the default route on its way to kube-proxy's rules.
        ["route", "replace", SERVICES, "dev", BRIDGE, "src", ADDRESS],
    ):
        output(["ip", *command], what="making the lab's bridge", remedy=_REMEDY)
    for name in ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables"):
        file = Path("/proc/sys") / name
        if not file.exists():
            subprocess.run(["modprobe", "br_netfilter"], check=False, capture_output=True)
        if file.exists() and file.read_text().strip() != "1":
            file.write_text("1")
    for direction in ("-s", "-d"):
        # A machine with Docker drops forwarded packets by default.
        rule = ["FORWARD", direction, PODS, "-m", "comment", "--comment", COMMENT, "-j", "ACCEPT"]
        if subprocess.run(["iptables", "-w", "-C", *rule], check=False, capture_output=True).returncode != 0:
            output(["iptables", "-w", "-I", *rule], what="allowing the pods' packets", remedy=_REMEDY)
    return None


def _cni(where: State) -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipMasq": False,
        # A pod may reach itself through its own Service.
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(where.node / "addresses"),
            "ranges": [[{"subnet": PODS}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return {"cniVersion": "0.4.0", "name": NETWORK_NAME, "plugins": [bridge]}


def _bridge_is_up() -> bool:
    shown = subprocess.run(["ip", "-json", "addr", "show", BRIDGE], check=False, capture_output=True, text=True)
    if shown.returncode != 0:
        return False
    (link,) = json.loads(shown.stdout)
    return "UP" in link["flags"] and any(address["local"] == ADDRESS for address in link["addr_info"])


def _refuse_taken_subnet() -> None:
    """Raise LabError if another link of this machine already has the lab's addresses."""
    listed = output(["ip", "-json", "route", "show", "root", "10.64.0.0/10"], what="reading routes", remedy=_REMEDY)
    for route in json.loads(listed or "[]"):
        if route.get("dev") != BRIDGE and route["dst"].split("/")[0] in (PODS.split("/")[0], SERVICES.split("/")[0]):
            raise LabError(
                what="making the lab's bridge",
                why=f"{route['dst']} is already routed to {route.get('dev')} on this machine",
                remedy="take that network down, or use another machine: the lab's addresses are fixed",
            )


def down() -> None:
    """Remove the bridge, what hangs on it, and every rule of the lab, of kube-proxy and of kubelet."""
    listed = subprocess.run(
        ["ip", "-json", "link", "show", "master", BRIDGE], check=False, capture_output=True, text=True
    ).stdout
    for link in json.loads(listed or "[]") if listed.strip() else []:
        subprocess.run(["ip", "link", "delete", link["ifname"]], check=False, capture_output=True)
    subprocess.run(["ip", "link", "delete", BRIDGE], check=False, capture_output=True)
    for family in ("iptables", "ip6tables"):
        try:
            saved = subprocess.run([f"{family}-save"], check=False, capture_output=True, text=True).stdout
        except FileNotFoundError:
            continue
        undo = undo_rules(saved)
        if undo:
            subprocess.run(
                [f"{family}-restore", "-w", "--noflush"], check=False, input=undo, text=True, capture_output=True
            )


def undo_rules(saved: str) -> str:
    """What `iptables-restore --noflush` must read to remove the lab's chains and rules, and nothing else.

    Args:
        saved: the output of `iptables-save`.

    Returns:
        Empty if there is nothing to remove. The lab's are: chains whose names start with `KUBE-` (kube-proxy,
        kubelet), rules elsewhere that jump to one, and rules with the lab's comment.
    """
    answer: list[str] = []
    table = ""
    chains: list[str] = []
    rules: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            table, chains, rules = line, [], []
        elif line.startswith(":KUBE-"):
            chains.append(line[1:].split()[0])
        elif line.startswith("-A ") and not line.startswith("-A KUBE-"):
            if " -j KUBE-" in line or f"--comment {COMMENT} " in line:
                rules.append("-D" + line.removeprefix("-A"))
        elif line == "COMMIT" and (chains or rules):
            # Naming a chain with --noflush empties it; all must be empty before any can be deleted.
            answer += [table, *(f":{chain} - [0:0]" for chain in chains), *rules]
            answer += [*(f"-X {chain}" for chain in chains), "COMMIT"]
    return "\n".join([*answer, ""]) if answer else ""
