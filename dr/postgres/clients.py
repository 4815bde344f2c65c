"""Who is connected to a database server and may write, by the server's own word. Pure."""

import json
from collections.abc import Collection
from dataclasses import dataclass

_OWN = (
    "archiver",
    "autovacuum launcher",
    "autovacuum worker",
    "background writer",
    "checkpointer",
    "io worker",
    "logger",
    "logical replication launcher",
    "parallel worker",
    "slotsync worker",
    "standalone backend",
    "startup",
    "walreceiver",
    "walsender",
    "walsummarizer",
    "walwriter",
)
"""What belongs to the server itself, and commits nothing of its own (``GetBackendTypeDesc`` in ``miscinit.c``, up to
PostgreSQL 18). All else counts: clients, apply workers of subscriptions, workers of extensions such as pg_cron."""
# The instance manager, and this tool, come through the socket as postgres. Who else does so is told by the WAL alone.
CLIENTS = f"""SELECT coalesce(json_agg(found), '[]') FROM (
SELECT coalesce(datname, '') AS database, coalesce(usename, '') AS role, application_name AS application,
  coalesce(host(client_addr), '') AS address, backend_type AS kind, count(*) AS count
FROM pg_stat_activity
WHERE backend_type NOT IN ({", ".join(f"'{kind}'" for kind in _OWN)})
  AND NOT (backend_type = 'client backend' AND client_addr IS NULL AND usename = 'postgres')
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5) AS found"""  # noqa: S608 - all of it is ours
"""Asks for all that are connected or work in the background, but for the instance manager and this tool."""
_CLIENT = "client backend"


@dataclass(frozen=True, kw_only=True)
class Client:
    """``count`` sessions that are alike. ``address`` is empty for one through the server's own socket, and for a worker
    of the server; ``kind`` is the server's word for what it is (``backend_type``); ``pod`` is the pod that has the
    address, ``namespace/name``, empty where that is not known.
    """

    database: str
    role: str
    application: str
    address: str
    kind: str
    count: int
    pod: str = ""

    def __str__(self) -> str:
        """For people."""
        many = f"{self.count} sessions of " if self.count > 1 else ""
        if self.kind != _CLIENT:
            return f"{many}{self.kind}" + (f" in {self.database}" if self.database else "")
        where = f"from {self.pod or self.address}" if self.address else "through the socket"
        what = f" ({self.application})" if self.application else ""
        return f"{many}{self.role} {where}{what}"


def read_clients(answer: str) -> tuple[Client, ...]:
    """The answer to :data:`CLIENTS`. Raises ValueError where it is none."""
    return tuple(Client(**one) for one in json.loads(answer))


def named(clients: Collection[Client]) -> str:
    """For people, in a sentence."""
    shown = [str(client) for client in clients]
    return ", ".join(shown[:_SHOWN]) + (f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")


_SHOWN = 5
