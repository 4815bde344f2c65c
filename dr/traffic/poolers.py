"""Seeing that the PgBouncers of a Pooler are paused, and who keeps them from it.

``spec.pgbouncer.paused`` only has CloudNativePG give the command ``PAUSE``, whose end shows nowhere: ``status.phase``
repeats the specification (its ``pooler_status.go``). PgBouncer lets a session continue until it gives its connection to
the server back: with ``poolMode: session``, the default, until the client leaves (PgBouncer's manual, "PAUSE").
"""

import csv
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from dr.core.errors import AccessError
from dr.core.waiting import poll
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import GONE, PodExec
from dr.postgres.clients import Client, named
from dr.run.session import Session
from dr.traffic.clients import pod_names
from dr.traffic.writer_model import BackgroundWriter

_CONTAINER = "pgbouncer"
_ASK_SECONDS = 10
_CONSOLE = ("psql", "-X", "--csv", "-c")
"""The container's environment leads to PgBouncer's console (CloudNativePG's ``pkg/specs/pgbouncer/deployments.go``)."""


@dataclass(frozen=True, kw_only=True)
class PauseSeen:
    """How far the pause of the Pooler has come. ``clients`` are those that still have a connection to the server;
    ``connections`` how many there are, idle ones and those of nobody included; ``answered`` how many PgBouncers were
    asked; ``active`` the pods whose PgBouncer is not paused; ``unasked`` why one could not be asked, empty where all
    were.
    """

    pooler: str
    clients: tuple[Client, ...] = ()
    connections: int = 0
    answered: int = 0
    active: tuple[str, ...] = ()
    unasked: str = ""

    @property
    def paused(self) -> bool:
        """Whether each PgBouncer that runs was seen to be paused, with no connection to the server."""
        return not (self.connections or self.active or self.unasked)

    def __str__(self) -> str:
        """For people."""
        if self.paused:
            return f"{self.pooler} is paused" if self.answered else f"{self.pooler} has no PgBouncer that runs"
        if self.unasked:
            return f"whether {self.pooler} is paused could not be asked ({self.unasked})"
        if self.active:
            return f"{self.pooler} is not paused: {', '.join(self.active)}"
        who = named(self.clients) or f"{self.connections} connections of nobody that is known"
        return f"{self.pooler} still has connections: {who}"


def await_paused(session: Session, poolers: Collection[BackgroundWriter], *, limit: float) -> tuple[PauseSeen, ...]:
    """Wait until all ``poolers`` are paused, up to ``limit`` seconds. Returns how each was seen last. Raises
    AccessError where the API server does not tell which pods they have.
    """
    seen: tuple[PauseSeen, ...] = ()
    for _ in poll(limit, stop=session.stop, what=f"{', '.join(map(str, poolers))} to be paused", every=1):
        seen = tuple(_look(session.api, pooler) for pooler in poolers)
        if all(one.paused for one in seen):
            return seen
    pods: Mapping[str, str] = {}
    with suppress(AccessError):  # an address is a name, too
        pods = pod_names(session, {session.environment.workloads.namespace, *(one.namespace for one in poolers)})
    return tuple(
        replace(one, clients=tuple(replace(client, pod=pods.get(client.address, "")) for client in one.clients))
        for one in seen
    )


def _look(api: KubernetesApi, pooler: BackgroundWriter) -> PauseSeen:
    namespace = pooler.namespace
    selector = f"cnpg.io/poolerName={pooler.name}"
    what = f"list the pods {selector} in {namespace}"
    pods = api.ask(what, api.core.list_namespaced_pod, namespace, label_selector=selector).items
    found = PauseSeen(pooler=str(pooler))
    for pod in (pod.metadata.name for pod in pods if pod.status.phase in {"Running", "Unknown"}):
        exec_in = PodExec(api, namespace=namespace, pod=pod, container=_CONTAINER)
        try:
            # In this order: one that is paused opens no connection any more.
            state = {row["key"]: row["value"] for row in _show(exec_in, pod, "STATE")}
            connections = len(_show(exec_in, pod, "SERVERS"))
            clients = _linked(_show(exec_in, pod, "CLIENTS")) if connections else ()
        except AccessError as error:
            if error.code not in GONE:
                found = replace(found, unasked=error.cause)
            continue
        found = replace(
            found,
            answered=found.answered + 1,
            active=found.active if state.get("paused") == "yes" else (*found.active, pod),
            connections=found.connections + connections,
            clients=(*found.clients, *clients),
        )
    return found


def _show(pod: PodExec, name: str, what: str) -> list[dict[str, str]]:
    """The rows of one of the console's lists, whose columns differ from version to version. Raises AccessError."""
    doing = f"ask the PgBouncer in {name} for its {what.lower()}"
    ran = pod.run([*_CONSOLE, f"SHOW {what}"], what=doing, limit=_ASK_SECONDS)
    rows = list(csv.DictReader(ran.output.splitlines()))
    if ran.code != 0 or (what == "STATE" and not any(row.get("key") == "paused" for row in rows)):
        said = ran.errors.strip() or f"psql exited with {ran.code}"
        raise AccessError("sql-failed", f"could not {doing}: {said}", "look at the pod's log")
    return rows


def _linked(rows: Collection[Mapping[str, str]]) -> tuple[Client, ...]:
    """Those of ``SHOW CLIENTS`` that have a connection to the server."""
    alike = Counter(
        (row["database"], row["user"], row.get("application_name") or "", row["addr"])
        for row in rows
        if row.get("link")
    )
    return tuple(
        Client(
            database=database,
            role=role,
            application=application,
            address=address,
            kind="client backend",
            count=count,
        )
        for (database, role, application, address), count in sorted(alike.items())
    )
