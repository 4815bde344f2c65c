"""The environment variables by which `dr`, `kubectl` and `pulumi` work on the lab instead of anything else."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lab import paths
from lab.data.environments import ENVIRONMENTS
from lab.gcp import component as google
from lab.node import network
from lab.platform import gcs

PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")

PASSPHRASE = "lab"
"""Of the Pulumi state of the lab's environments."""


def environment() -> dict[str, str]:
    """The variables to set, name -> value. `PATH` is the present one with the lab's programs first.

    Says nothing about whether the lab is up.
    """
    where = paths.state()
    # The lab's language host is older than its engine and does not know the virtualenv that Pulumi.yaml names: it runs
    # a program with the first Python on PATH.
    own = [str(where.bin), str(Path(sys.executable).parent)]
    others = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder not in own]
    return {
        "DR_CONFIG_DIR": str(where.config),
        "DR_STATE_DIR": str(where.dr),
        "KUBECONFIG": str(where.kubeconfig),
        "PATH": os.pathsep.join([*own, *others]),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "SSL_CERT_FILE": str(where.authorities),
        "STORAGE_EMULATOR_HOST": gcs.URL,
        **google.variables(),
        **past_proxies(),
    }


def past_proxies() -> dict[str, str]:
    """On a machine with an HTTP proxy: the variables that keep requests to the lab away from it. Else empty.

    Single addresses stand beside the networks, as some libraries know no networks here.
    """
    if not any(os.environ.get(name) for name in PROXIES):
        return {}
    addresses = [environment.api_address for environment in ENVIRONMENTS]
    lab = [network.ADDRESS, network.API_SERVICE, *addresses, network.PODS, network.SERVICES]
    before = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    merged = ",".join(dict.fromkeys([*filter(None, before.split(",")), "127.0.0.1", "localhost", *lab]))
    return {"NO_PROXY": merged, "no_proxy": merged}
