"""``dr switchover``: move the traffic to a recovered Cluster."""

from typing import Any

import click

from dr.cli.options import options
from dr.switchover.command import move, move_options


@options("switchover")
@click.option("--recovered-name", help="The Cluster to move to.  [default: the newest that was recovered]")
@move_options
def command(**given: Any) -> None:
    """Move the traffic to a recovered Cluster.

    The old Cluster is kept from writing, the Service is declared to point to the recovered one, and the workloads are
    started with the counts they had. It is seen from inside the cluster that the name has moved and that the workloads'
    password is accepted, and the smoke test is asked. The way back is `rollback`.
    """
    move(back=False, **given)
