"""Bringing a table from one database's pod into another's, with PostgreSQL's own programs.

``pg_dump`` and ``psql`` both run in the pod that receives: there the superuser is let in by the local socket, so that
owners, grants and triggers can be set as they were, and the rows go straight from one pod to the other. Nothing of them
passes through this machine. The one password that is needed is the scratch Cluster's; it goes by standard input.
"""

import re
from collections.abc import Sequence
from threading import Event

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.primary import programs_of, psql_of
from dr.core.errors import AccessError
from dr.extract.limits import Room, Rooms
from dr.extract.statements import NO_EVENT_TRIGGERS, own_path, set_persistence
from dr.kube.api import KubernetesApi
from dr.postgres.psql import by_hand
from dr.postgres.sql import conninfo, literal

_DAY = 24 * 3600.0
_EXEC_SECONDS = 60

# COMMIT is sent only after a whole dump: at the end of a broken one psql ends too, and PostgreSQL takes it all back.
# What pg_dump writes begins with an empty search_path: after that line stands what sets the one that is wanted.
_COPY = r"""
IFS= read -r PGPASSWORD; export PGPASSWORD
set -o pipefail
dump() {
  pg_dump --dbname="$source" --schema="$schema" --section="$1" --no-publications --no-subscriptions | {
    while IFS= read -r line; do
      printf '%s\n' "$line"
      case $line in "SELECT pg_catalog.set_config('search_path'"*) printf '%s\n' "$resolving"; break ;; esac
    done
    cat
  }
}
source=$1 schema=$2 receiver=$3 before=$4 resolving=$5 unlogged=$6 logged=$7
{ printf '%s\nBEGIN READ WRITE;\n' "$before" && dump pre-data && printf '%s\n' "$unlogged" && dump data &&
  printf '%s\n' "$logged" && dump post-data && echo 'COMMIT;'; } |
  env -u PGPASSWORD psql -Xq -o /dev/null -v ON_ERROR_STOP=1 --dbname="$receiver"
"""
_ROOM = 'cd "$PGDATA" && for one; do stat -Lc %d "$one/" && df --output=avail -B1 "$one/" | tail -n 1; done | paste - -'

# PostgreSQL closes standard input at no time; so the script says itself where it ends.
_SCRIPT = ("psql", "-XqAt", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d")
_END = "\\q\n"


class TableReceiver:
    """The live database, as far as it receives a table. ``name`` is what its sessions are known by."""

    def __init__(self, api: KubernetesApi, live: ClusterSnapshot, *, name: str) -> None:
        self._api = api
        self._name = name
        self._database = live.database
        self._live = live
        self.psql = psql_of(api, live)

    def copy(
        self,
        schema: str,
        *,
        source: ClusterSnapshot,
        database: str,
        password: str,
        stop: Event,
        path_of: str | None = None,
    ) -> str:
        """Copy ``schema`` from the Cluster ``source``, all or nothing. Returns what the programs said, which is nothing
        when it went well; the connection to them may break, so the database itself has to be asked how it went.
        ``path_of`` is the role by whose ``search_path`` functions that are called in it find others, None for none.

        Raises AccessError when the programs cannot be reached.
        """
        host = f"{source.name}-rw.{source.namespace}.svc"
        sender = conninfo(host=host, dbname=database, user="postgres", sslmode="require", connect_timeout=10)
        receiver = conninfo(dbname=self._database, application_name=self._name)
        persistence = (f"{set_persistence(schema, wanted)};" for wanted in ("UNLOGGED", "LOGGED"))
        words = [f"{NO_EVENT_TRIGGERS};", f"{own_path(path_of)};" if path_of else "", *persistence]
        ran = programs_of(self._api, self._live).run(
            ["bash", "-c", _COPY, "copy", sender, schema, receiver, *words],
            what=f"load the table in {self._live.namespace}/{self._live.primary}",
            limit=_DAY,
            stop=stop,
            standard_input=f"{password}\n",
        )
        return ran.errors.strip()

    def activity(self) -> str | None:
        """What a copy does right now, such as "12,000 rows"; None when none runs. Raises AccessError."""
        found = self.psql.ask(
            "SELECT coalesce(p.tuples_processed::text, ''), left(regexp_replace(a.query, '\\s+', ' ', 'g'), 60) "
            "FROM pg_stat_activity a LEFT JOIN pg_stat_progress_copy p USING (pid) "
            f"WHERE a.application_name = {literal(self._name)}"
        )
        if not found:
            return None
        rows, _, query = found[0].partition("|")
        if rows:
            return f"{int(rows):,} rows"
        if said := re.match(r"/\* (.+?) \*/", query):
            query = said[1]
        return "waiting for the first rows" if query.startswith(("BEGIN", "SELECT ")) else query

    def end_copy(self) -> None:
        """End what an earlier or an interrupted copy has left running. Nothing stays of it. Raises AccessError."""
        self.psql.ask(
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity "
            f"WHERE application_name = {literal(self._name)}",
            limit=_EXEC_SECONDS,
        )

    def rooms(self, tablespaces: Sequence[str]) -> Rooms:
        """How much room there is for the data, for the ``tablespaces`` as far as the live database has them, and for
        the WAL. Raises AccessError.
        """
        names = ", ".join(map(literal, tablespaces)) or "NULL"
        asked = f"SELECT oid, spcname FROM pg_tablespace WHERE spcname IN ({names})"
        found = [line.partition("|") for line in self.psql.ask(asked)]
        ran = programs_of(self._api, self._live).run(
            ["sh", "-c", _ROOM, "room", ".", "pg_wal", *(f"pg_tblspc/{oid}" for oid, _, _ in found)],
            what=f"see how much room {self._live.namespace}/{self._live.primary} has",
            limit=_EXEC_SECONDS,
        )
        lines = [line.split() for line in ran.output.splitlines()]
        if ran.code != 0 or len(lines) != len(found) + 2:
            raise AccessError(
                "room-unknown",
                f"could not see how much room {self._live.namespace}/{self._live.primary} has: {ran.errors.strip()}",
                "repeat the command: it continues",
            )
        data, wal, *others = (Room(device=device, free=int(free)) for device, free in lines)
        return Rooms(data={"": data} | {name: room for (_, _, name), room in zip(found, others, strict=True)}, wal=wal)


def run_script(api: KubernetesApi, cluster: ClusterSnapshot, database: str, script: str, *, limit: float) -> str:
    """Run a script of statements in the Cluster's primary, to its first error. Returns the warnings.

    Raises AccessError ``sql-failed``. ``limit`` is in seconds.
    """
    where = f"{cluster.namespace}/{cluster.primary}"
    ran = programs_of(api, cluster).run(
        [*_SCRIPT, database], what=f"run SQL in {where}", limit=limit, standard_input=script + _END
    )
    if ran.code != 0:
        raise AccessError(
            "sql-failed",
            f"could not run SQL in {where}: {ran.errors.strip() or f'psql exited with {ran.code}'}",
            f"look at the database: {by_hand(api, cluster.namespace, str(cluster.primary), database)}",
        )
    return ran.errors


def dump_definition(api: KubernetesApi, cluster: ClusterSnapshot, database: str, relation: str) -> str:
    """The statements that make a relation, its grants and its comments, without its rows. Raises AccessError."""
    what = f"read the definition of {relation} in {cluster.namespace}/{cluster.primary}"
    ran = programs_of(api, cluster).run(
        ["pg_dump", f"--dbname={database}", "--schema-only", "--no-publications", f"--table={relation}"],
        what=what,
        limit=_EXEC_SECONDS,
    )
    if ran.code != 0:
        raise AccessError("sql-failed", f"could not {what}: {ran.errors.strip()}", "repeat the command: it continues")
    return ran.output
