"""Cluster DNS: CoreDNS as a process on the node's address, reading Services from the API server.

A short time to live and no cache: when a switchover patches an ExternalName Service, its clients follow within seconds.
"""

from __future__ import annotations

from pathlib import Path

import httpx

from lab import manifests, processes
from lab.cache_keys import replace_text
from lab.cluster import Cluster
from lab.node.network import ADDRESS, DNS_SERVICE
from lab.paths import State
from lab.platform.readiness import await_answer

NAME = "dns"
TTL = 5
"""Seconds; also how long a client may go on using the old database after a switchover."""
READY = f"http://{ADDRESS}:8181/ready"
MANIFEST = Path(__file__).parent / "manifests" / "dns.yaml"


def up(where: State, coredns: Path, cluster: Cluster) -> str | None:
    """Have cluster DNS answer.

    Raises:
        LabError: it died or was not ready in time.
    """
    corefile = f"""cluster.local {{
    bind {ADDRESS}
    errors
    ready {ADDRESS}:8181
    kubernetes {{
        kubeconfig {where.admin_kubeconfig} lab
        ttl {TTL}
    }}
}}
# There is no other network in here: every other name is known not to exist, at once.
. {{
    bind {ADDRESS}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""
    file = where.node / "Corefile"
    replace_text(file, corefile)
    if not processes.ensure(where, NAME, [coredns, "-conf", file], settings=[corefile]):
        return "is up"
    cluster.apply(manifests.read(MANIFEST, service_address=DNS_SERVICE, node_address=ADDRESS))
    await_answer(where, NAME, lambda: httpx.get(READY, timeout=2, trust_env=False).status_code == httpx.codes.OK)
    return None
