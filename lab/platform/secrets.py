"""Gives the workloads their database's password: stands in for the tool that copies Secrets between namespaces.

Where a database is made anew, its operator makes a new password. Run as a process: `python -m lab.platform.secrets`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import urllib3
from kubernetes.dynamic.exceptions import DynamicApiError

from lab import processes
from lab.cache_keys import content_key
from lab.cluster import Cluster, Document
from lab.data.environments import DATABASES, ENVIRONMENTS, Environment
from lab.errors import LabError
from lab.paths import SOURCES, State

NAME = "secrets"
WATCH_FOR = 10
"""Seconds after which a watch is begun anew, with all there is: so long may a namespace be without its copy that was
made after the Secret."""


def up(where: State) -> str | None:
    """Have the process."""
    command = [sys.executable, "-u", "-m", "lab.platform.secrets", str(where.root)]
    settings = [content_key(Path(__file__))]
    started = processes.ensure(where, NAME, command, settings=settings, env={"PYTHONPATH": str(SOURCES.parent)})
    return None if started else "is up"


def copy_of(found: Document, environment: Environment) -> Document:
    """The Secret as the workloads of an environment get it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": environment.secret, "namespace": environment.name},
        "type": found["type"],
        "data": found["data"],
    }


def copy(cluster: Cluster, found: Document) -> None:
    """Copy it, if it is the Secret of a database, to where its workloads are, if that is there yet."""
    for environment in ENVIRONMENTS:
        if found["metadata"]["name"] == environment.secret and cluster.get("v1", "Namespace", environment.name):
            cluster.apply([copy_of(found, environment)], patience=1)


def main(root: str) -> None:
    """Follow the Secrets of the databases for ever."""
    cluster = Cluster(State(Path(root)))
    while True:
        try:
            for event in cluster.kind("v1", "Secret").watch(namespace=DATABASES, timeout=WATCH_FOR):
                if event["type"] in ("ADDED", "MODIFIED"):
                    copy(cluster, event["object"].to_dict())
        except (DynamicApiError, LabError, urllib3.exceptions.HTTPError) as error:
            print(f"{type(error).__name__}, looking again")
            time.sleep(0.5)


if __name__ == "__main__":
    main(sys.argv[1])
