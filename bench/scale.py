"""What each way back costs with 2 GiB of data and 150 WAL segments behind the base backup: seconds and memory.

Run it in the lab's environment, on a lab that is up and at rest; it puts the lab's data back at the beginning, and
leaves it full. 12 to 17 minutes on two cores:

    python -m lab exec -- python -m bench.scale
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field

import click

from bench.measured import Measured, measured

ENV, SOURCE, RECOVERED = "dev", "postgres-dev", "postgres-dev-recovered"
_BY_PLUGIN = {"method": "plugin", "pluginConfiguration": {"name": "barman-cloud.cloudnative-pg.io"}}
_ROW_BYTES = 1024
_WAIT_SECONDS = 900
_FILL = """CREATE TABLE bulk (id bigint PRIMARY KEY, changed int NOT NULL DEFAULT 0, filler text NOT NULL);
INSERT INTO bulk SELECT n, 0, repeat(md5(n::text), 30) FROM generate_series(1, {rows}) n;
ALTER TABLE bulk OWNER TO tomoda"""


@dataclass
class Bench:
    """The database of dev, and what was measured so far; ``by_plugin`` is whether the plugin archives it."""

    by_plugin: bool = False
    results: dict[str, object] = field(default_factory=dict)

    @classmethod
    def reset(cls, *, by_plugin: bool = False) -> Bench:
        """One whose database is as it is on a fresh lab."""
        words = ["lab", "reset", *(["--plugin"] if by_plugin else [])]
        subprocess.run([sys.executable, "-m", *words], check=True, stdout=sys.stderr)
        return cls(by_plugin=by_plugin)

    def now(self) -> str:
        """The database's clock, as a recovery target."""
        return self.psql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")

    def kubectl(self, *words: str, given: str = "") -> str:
        words = ("kubectl", "--context", f"lab-{ENV}", "-n", "data", *words)
        done = subprocess.run(words, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: {done.stderr}")
        return done.stdout.strip()

    def psql(self, *statements: str, cluster: str = SOURCE) -> str:
        commands = [word for statement in statements for word in ("-c", statement)]
        psql = ("psql", "-XqAtd", "tomoda", "-v", "ON_ERROR_STOP=1")
        return self.kubectl("exec", f"{cluster}-1", "-c", "postgres", "--", *psql, *commands)

    def wait(self, statement: str) -> None:
        """Until the database says yes."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while self.psql(statement).splitlines()[-1] != "t":
            if time.monotonic() > deadline:
                raise SystemExit(f"it did not come to that: {statement}")
            time.sleep(1)

    def timed(self, what: str, begin: float) -> None:
        self.note(what, seconds=round(time.monotonic() - begin, 1))

    def note(self, what: str, **values: object) -> None:
        self.results[what] = values
        click.echo(f"{what}: " + ", ".join(f"{name} {value}" for name, value in values.items()), err=True)

    def command(self, what: str, run: Measured, **values: object) -> None:
        self.note(what, seconds=round(run.seconds, 1), residentMiB=round(run.resident_mib), **values)

    def fill(self, gib: float) -> None:
        begin = time.monotonic()
        self.psql(_FILL.format(rows=int(gib * 2**30 / _ROW_BYTES)), "CHECKPOINT")
        self.timed("fill", begin)
        self.note("data", bytes=int(self.psql("SELECT pg_database_size('tomoda')")))

    def back_up(self) -> None:
        begin = time.monotonic()
        backup = {
            "apiVersion": "postgresql.cnpg.io/v1",
            "kind": "Backup",
            "metadata": {"name": "scale"},
            "spec": {
                "cluster": {"name": SOURCE},
                **(_BY_PLUGIN if self.by_plugin else {"method": "barmanObjectStore"}),
            },
        }
        self.kubectl("apply", "-f", "-", given=json.dumps(backup))
        done = "--for=jsonpath={.status.phase}=completed"
        self.kubectl("wait", "backup", "scale", done, f"--timeout={_WAIT_SECONDS}s")
        self.timed("base backup", begin)

    def write_segments(self, count: int) -> None:
        """That many segments, each with some changes of the large table in it."""
        changes = (
            f"UPDATE bulk SET changed = changed + 1 WHERE id BETWEEN {first} AND {first} + 999"
            for first in range(0, 1000 * count, 1000)
        )
        self.psql(*(statement for change in changes for statement in (change, "SELECT pg_switch_wal()")))

    def await_archive(self) -> None:
        begin = time.monotonic()
        *_, segment = self.psql("SELECT pg_current_xact_id()", "SELECT pg_walfile_name(pg_switch_wal())").splitlines()
        self.wait(f"SELECT left(last_archived_wal, 24) >= '{segment}' FROM pg_stat_archiver")
        self.timed("wait for the archive", begin)


@click.command()
@click.option("--gib", default=2.0, show_default=True, help="Data in the large table.")
@click.option("--segments", default=150, show_default=True, type=click.IntRange(min=20))
@click.option("--plugin", "by_plugin", is_flag=True, help="The Barman Cloud plugin archives it.")
def main(gib: float, segments: int, *, by_plugin: bool) -> None:
    """Fill dev's database, drop the large table, and bring it back in each way."""
    bench = Bench.reset(by_plugin=by_plugin)
    bench.fill(gib)
    bench.back_up()
    begin = time.monotonic()
    bench.write_segments(2 * segments // 3)
    rows = bench.psql("SELECT count(*) FROM bulk")
    target = bench.now()
    bench.psql("DROP TABLE bulk", "SELECT pg_switch_wal()")
    bench.psql(*(["SELECT pg_current_xact_id()", "SELECT pg_switch_wal()"] * (segments // 3)))
    bench.timed("write the segments", begin)
    bench.await_archive()

    bench.command("window", measured("window", "--env", ENV))
    looked = measured("pitr", "--env", ENV, "--before-drop", "bulk", "--dry-run")
    bench.command("before-drop", looked, found=looked.document["plan"]["facts"]["Dropped"])
    recovered = measured("pitr", "--env", ENV, "--before-drop", "bulk", "--yes", "--confirm", RECOVERED)
    steps = {step["key"]: step["fact"] for step in recovered.document["steps"]}
    bench.command("pitr", recovered, cluster=recovered.document["clusterSeconds"], recover=steps["recover"])
    if bench.psql("SELECT count(*) FROM bulk", cluster=RECOVERED) != rows:
        raise SystemExit("the recovered table has not all rows")
    bench.kubectl("delete", "cluster", RECOVERED)
    extracted = measured("extract", "--env", ENV, "--table", "bulk", "--target-time", target, "--swap", "--yes")
    took = {step["key"]: step["fact"] for step in extracted.document["steps"]}
    bench.command("extract", extracted, recover=took["recover"], load=took["load"])
    if bench.psql("SELECT count(*) FROM bulk") != rows:
        raise SystemExit("the extracted table has not all rows")
    click.echo(json.dumps(bench.results, indent=2))


if __name__ == "__main__":
    main()
