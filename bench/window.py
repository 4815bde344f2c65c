"""What ``dr window`` costs for an archive of many WAL segments: seconds, requests and resident memory.

It needs no lab: a double of the object store is served by a process of its own, in pages of 1,000 as Cloud Storage's,
each answer delayed as a real bucket's would be:

    python -m bench.window --segments 10000
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from bench.measured import measured
from tests.support.archives import backup, put_backup, put_wal, wal
from tests.support.builders import BUCKET
from tests.support.doubles import Asked, ObjectStoreDouble, closed_port, serving, write_environment, write_kubeconfig


@dataclass(kw_only=True)
class _SlowStore(ObjectStoreDouble):
    """Answers after a while."""

    delay: float

    def respond(self, asked: Asked) -> tuple[int, bytes]:
        time.sleep(self.delay)
        return super().respond(asked)


@click.command()
@click.option("--segments", default=10_000, show_default=True, type=click.IntRange(min=1))
@click.option("--backups", default=30, show_default=True, type=click.IntRange(min=1))
@click.option("--delay", default=0.05, show_default=True, help="Seconds before each answer of the store.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--serve", is_flag=True, hidden=True)
def main(segments: int, backups: int, delay: float, as_json: bool, serve: bool) -> None:
    """Look at one archive of SEGMENTS segments, and at one of a single segment for comparison."""
    if serve:
        _serve(segments, backups, delay)
        return
    small, large = _measure(1, 1, delay), _measure(segments, backups, delay)
    found = {
        "segments": segments,
        "backups": backups,
        "delay": delay,
        "seconds": round(large[0], 2),
        "residentMiB": round(large[1]),
        "secondsOfOneSegment": round(small[0], 2),
        "residentMiBOfOneSegment": round(small[1]),
        "ratioOfSeconds": round(large[0] / small[0], 2),
        "ratioOfMemory": round(large[1] / small[1], 2),
    }
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(
        f"{segments:,} segments, {backups} base backups, {delay * 1000:.0f} ms an answer: {large[0]:.2f} s, "
        f"{large[1]:.0f} MiB resident\n1 segment, 1 base backup: {small[0]:.2f} s, {small[1]:.0f} MiB; "
        f"ratios {found['ratioOfSeconds']} and {found['ratioOfMemory']}"
    )


def _measure(segments: int, backups: int, delay: float) -> tuple[float, float]:
    """Seconds of the whole command, and MiB that its process held at most."""
    with TemporaryDirectory() as folder, _served(segments, backups, delay) as url:
        place = Path(folder)
        write_environment(place, write_kubeconfig(place / "config", {"acme-prod": closed_port()}))
        looked = measured("window", "--env", "prod", "--config-dir", folder, variables={"STORAGE_EMULATOR_HOST": url})
        (archive,) = looked.document["archives"]
        if sum(stretch["segments"] for stretch in archive["wal"]) != segments:
            raise SystemExit("not every segment was seen")
    return looked.seconds, looked.resident_mib


@contextmanager
def _served(segments: int, backups: int, delay: float) -> Iterator[str]:
    arguments = ["--segments", str(segments), "--backups", str(backups), "--delay", str(delay), "--serve"]
    with subprocess.Popen(
        [sys.executable, "-m", "bench.window", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()  # ends its input, and so it


def _serve(segments: int, backups: int, delay: float) -> None:
    with serving(_SlowStore(bucket=BUCKET, delay=delay)) as store:
        put_wal(store, "postgres-prod", wal(range(1, segments + 1)), suffix=".gz")
        for number in range(1, segments + 1, max(1, segments // backups)):
            put_backup(store, "postgres-prod", backup(number))
        click.echo(store.url)
        sys.stdin.read()


if __name__ == "__main__":
    main()
