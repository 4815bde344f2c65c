"""``dr latest``: recover all that was committed, beside the broken cluster."""

from typing import Any

import click

from dr.cli.options import options
from dr.recovery.command import recover, recovery_options


@options("latest")
@click.option("--skip-seal", is_flag=True, help="Do not archive the newest WAL first: it is lost then.")
@recovery_options
def command(**given: Any) -> None:
    """Recover the database to the end of its WAL, into a new Cluster.

    The writers are stopped first and the source's newest WAL is archived, so that while the source is alive no
    committed transaction is missing. The source is left as it is, and traffic is not moved: the commands for that are
    printed.
    """
    recover(asked=None, **given)
