"""`fault`: lets a part of the lab fail for a while, as the real one does on a bad day, and mends it again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab.node.network import ADDRESS
from lab.paths import State
from lab.platform import gcs
from lab.store_faults import FaultyStore, StoreFault, faulty

_BEHIND = gcs.PORT + 1
"""Where the GCS server listens while a proxy stands in front of it."""
_LOOK_SECONDS = 0.1


@contextmanager
def bucket_fault(where: State, fault: StoreFault) -> Iterator[FaultyStore]:
    """Within the context the object store has this fault; after it the GCS server is back, with its objects.

    Nobody listens for less than a second, at the beginning and at the end. A process that is killed within leaves a
    server where nobody looks for it: `up` repairs that, as for any part.

    Raises:
        LabError: the GCS server did not come up again, here or there.
    """
    gcs.up(where, port=_BEHIND)
    try:
        with faulty((ADDRESS, gcs.PORT), (ADDRESS, _BEHIND), state := FaultyStore(fault)):
            yield state
    finally:
        gcs.up(where)


@contextmanager
def bucket_unavailable(where: State) -> Iterator[None]:
    """Within the context the object store answers 503 to everything. As `bucket_fault`."""
    with bucket_fault(where, StoreFault()):
        yield


def fail_bucket(where: State, fault: StoreFault) -> FaultyStore:
    """Have the object store fail so, until the fault is over.

    Raises:
        LabError: as `bucket_fault`.
    """
    with bucket_fault(where, fault) as state:
        while not state.over:
            time.sleep(_LOOK_SECONDS)
    return state
