"""``dr rollback``: move the traffic back to where it came from."""

from typing import Any

from dr.cli.options import options
from dr.switchover.command import move, move_options


@options("rollback")
@move_options
def command(**given: Any) -> None:
    """Move the traffic back to the Cluster it came from, and start the workloads.

    After a switchover the recovered Cluster is kept from writing: what was written to it stays there and does not come
    along. Before one, the workloads are simply started again. The recovered Cluster is left as it is.
    """
    move(back=True, recovered_name=None, **given)
