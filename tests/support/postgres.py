"""PostgreSQL itself, for what only it can answer: two servers of this machine's own programs, one in the place of the
live database and one in that of the scratch Cluster.

They are no doubles; only where a program runs is one: here, and not in a pod. Without the server's programs (Debian:
``postgresql``) such tests are skipped.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dr.kube.pod_exec import Ran
from tests.support.doubles import RanInPod

DATABASE = "shop"
_SETTINGS = {
    "listen_addresses": "''",
    "fsync": "off",
    "shared_buffers": "'16MB'",
    "wal_level": "logical",
    "max_connections": "30",
    "wal_retrieve_retry_interval": "'100ms'",
}


def _programs() -> Path:
    found = [Path(path).resolve().parent for path in [shutil.which("postgres")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for folder in found:
        if (folder / "initdb").exists():
            return folder
    pytest.skip("no server programs of PostgreSQL are on this machine")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that runs, and how to speak to it."""

    programs: Path
    folder: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """What makes PostgreSQL's programs speak to it, as they do in a pod."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PGHOST": str(self.folder),
            "PGPORT": str(self.port),
            "PGUSER": "postgres",
            "PGDATA": str(self.folder / str(self.port)),
        }

    def sql(self, *statements: str, user: str = "postgres", database: str = DATABASE) -> str:
        """What the statements answer, without the last newline. A failure of theirs is the test's."""
        ran = self.tried(*statements, user=user, database=database)
        assert ran.code == 0, ran.errors
        return ran.output.rstrip("\n")

    def tried(self, *statements: str, user: str = "postgres", database: str = DATABASE) -> Ran:
        """The same, where they may fail."""
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", database]
        for statement in statements:
            command += ["-c", statement]
        return self.run(command)

    def run(self, command: list[str], standard_input: str = "") -> Ran:
        """Run a program that speaks to it."""
        done = subprocess.run(
            command, env=self.environment, input=standard_input, capture_output=True, text=True, check=False
        )
        return Ran(output=done.stdout, errors=done.stderr, code=done.returncode)


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Both. Their programs find each in the pods ``scratch`` of and any other."""

    live: Server
    scratch: Server

    def fresh(self) -> None:
        """An empty database on both, and no roles but their own."""
        for server in (self.live, self.scratch):
            server.sql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", database="postgres")
            roles = server.sql("SELECT rolname FROM pg_roles WHERE oid > 16383", database="postgres")
            server.sql(*(f'DROP ROLE "{role}"' for role in roles.splitlines()), "SELECT", database="postgres")
            server.sql(f"CREATE DATABASE {DATABASE}", database="postgres")

    def both(self, *statements: str) -> None:
        """The same on both: what was there at the target, and is there still."""
        for server in (self.live, self.scratch):
            server.sql(*statements)

    def answer(self, ran: RanInPod) -> Ran:
        """Run what was to run in a pod."""
        command = [self._reached(word) for word in ran.command]
        return (self.scratch if "-scratch" in ran.pod else self.live).run(command, ran.standard_input)

    def _reached(self, word: str) -> str:
        """A connection to the scratch Cluster's Service leads to its server."""
        there = f"host={self.scratch.folder} port={self.scratch.port}"
        return re.sub(r"host='\S+-scratch-rw\S*' (.*)sslmode='require'", rf"{there} \1", word)


@contextmanager
def servers() -> Iterator[Servers]:
    """Two servers, which are gone afterwards."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    as_who = []
    if os.geteuid() == 0:  # PostgreSQL does not run as root
        shutil.chown(folder, "postgres", "postgres")
        folder.chmod(0o755)
        as_who = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    try:
        live, scratch = (Server(programs=programs, folder=folder, port=port) for port in (1, 2))
        with _running(live, as_who), _running(scratch, as_who):
            yield Servers(live=live, scratch=scratch)
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(server: Server, as_who: list[str]) -> Iterator[None]:
    data = str(server.folder / str(server.port))

    def run(*words: str) -> None:
        done = subprocess.run(
            [*as_who, *words],
            env=server.environment,
            cwd=server.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()

    initdb = ("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C")
    run(*initdb)
    with (Path(data) / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = {value}\n" for name, value in _SETTINGS.items())
        file.write(f"unix_socket_directories = '{server.folder}'\nport = {server.port}\n")
    run("pg_ctl", "-D", data, "-l", f"{data}.log", "-w", "start")
    try:
        yield
    finally:
        run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
