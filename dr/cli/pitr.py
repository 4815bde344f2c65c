"""``dr pitr``: recover to a point in time, beside the broken cluster."""

from typing import Any

import click

from dr.cli.main import options
from dr.cli.recover import recover, recovery_options


@options("pitr")
@click.option("--target-time", required=True, help="The moment to go back to, with its zone: 2026-04-27T09:55:00Z.")
@click.option("--skip-seal", is_flag=True, help="Do not archive the newest WAL first: the target is surely archived.")
@recovery_options
def command(**given: Any) -> None:
    """Recover the database to a point in time, into a new Cluster.

    The writers are stopped, the source's WAL is sealed, and a new Cluster is recovered from the base backup and the WAL
    up to the target. The source is left as it is, and traffic is not moved: the commands for that are printed.
    """
    recover(**given)
