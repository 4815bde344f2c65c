"""The demonstration behind `make demo`: a table is dropped on the lab's prod, and brought back by `python -m dr pitr`.

Every command is shown before it runs, and what is printed is what it said: nothing here computes a result. It is run in
the lab's environment (`python -m lab exec`), as an operator would be.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import httpx
import yaml

_POD = "postgres-prod-1"
_RECOVERED = "postgres-prod-recovered"
_AGREED = ("--yes", "--confirm", _RECOVERED)
_SERVING_SECONDS = 60


def main() -> None:
    """Tell the story; ends with status 1 where it goes wrong."""
    _reset_if_used()
    _say("Production as it is: 100,000 users, and an API that answers only while it can query them.")
    _psql(_POD, "SELECT count(*) AS users, postgis_version() FROM users")
    _health()

    _say("The moment before the accident. Everything that is committed by now must come back.")
    _psql(
        _POD,
        "INSERT INTO users (email, name, location) "
        "VALUES ('last@example.org', 'the last one in', ST_SetSRID(ST_MakePoint(139.7, 35.7), 4326)) RETURNING id",
    )
    time.sleep(1)
    target = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    time.sleep(1)

    _say(f"09:55 on a Monday, or here {target}: a migration goes wrong.")
    _psql(_POD, "DROP TABLE users CASCADE")
    _health()

    _say("The main job: back to the moment before. (At a terminal it asks for the cluster's name.)")
    _run("python", "-m", "dr", "pitr", "--env", "prod", "--target-time", target, *_AGREED)

    _say("The rows are back in the recovered cluster, the last one too; the broken one is left as it was.")
    _psql(f"{_RECOVERED}-1", "SELECT count(*) AS users, max(email) FILTER (WHERE name = 'the last one in') FROM users")

    _say("The next command, as it printed it, moves the traffic:")
    for command in _next_commands():
        _run(*shlex.split(command), *_AGREED)
    _health(until=200)
    click.secho("\nDone. The lab is still up: `python -m lab down` takes it away.", bold=True)


def _reset_if_used() -> None:
    """Put the lab's data back when an earlier recovery, or an earlier demo, has changed it."""
    found = _kubectl("get", "cluster", _RECOVERED, "-n", "data", "--ignore-not-found", "-o", "name")
    tables = _kubectl("exec", _POD, "-n", "data", "-c", "postgres", "--", "psql", "-qAtd", "tomoda", "-c", r"\dt users")
    if found.strip() or "users" not in tables:
        _say("The lab has been used: its data is put back first.")
        _run("python", "-m", "lab", "reset")


def _kubectl(*words: str) -> str:
    done = subprocess.run(["kubectl", "--context", "lab-prod", *words], check=True, capture_output=True, text=True)
    return done.stdout


def _psql(pod: str, sql: str) -> None:
    _run(
        "kubectl",
        "--context",
        "lab-prod",
        "exec",
        pod,
        "-n",
        "data",
        "-c",
        "postgres",
        "--",
        "psql",
        "-d",
        "tomoda",
        "-c",
        sql,
    )


def _health(until: int | None = None) -> None:
    """Ask the API how it is; with `until`, until it gives that status."""
    config = yaml.safe_load((Path(os.environ["DR_CONFIG_DIR"]) / "Pulumi.prod.yaml").read_text(encoding="utf-8"))
    url = config["config"]["postgres-dr:smokeTestUrl"]
    deadline = time.monotonic() + _SERVING_SECONDS
    while True:
        answer = httpx.get(url, timeout=10)
        if until in (None, answer.status_code):
            break
        if time.monotonic() > deadline:
            raise SystemExit(f"{url} answers {answer.status_code}, not {until}")
        time.sleep(0.5)
    click.echo(f"GET {url} -> {answer.status_code} {answer.text.strip()}")


def _next_commands() -> list[str]:
    """The commands of the last report in dr's journal."""
    from dr.engine.backend import state_folder

    lines = (state_folder() / "journal" / "prod.jsonl").read_text(encoding="utf-8").splitlines()
    reports = [entry["report"] for entry in map(json.loads, lines) if entry["event"] == "operation-done"]
    commands: list[str] = reports[-1]["next"]
    return commands


def _say(text: str) -> None:
    click.secho(f"\n# {text}", fg="cyan", bold=True)


def _run(*words: str) -> None:
    """Run a command in the open. A `python` is this one."""
    click.secho(f"$ {shlex.join(words)}", bold=True)
    program = [sys.executable, *words[1:]] if words[0] == "python" else list(words)
    code = subprocess.run(program, check=False).returncode
    if code != 0:
        raise SystemExit(f"it ended with status {code}")


if __name__ == "__main__":
    main()
