"""A drill gives way: it looks, while it runs, whether somebody has begun an operation on the environment."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread

from dr.core.errors import AccessError
from dr.drill.observe import at_work
from dr.run.session import Session

_LOOK_SECONDS = 3.0


@dataclass
class Way:
    """``to`` is whom it was given to, empty while it is the drill's own."""

    to: str = ""


@contextmanager
def giving_way(session: Session) -> Iterator[Way]:
    """Within the context, ``session.stop`` is set as soon as somebody is at work."""
    way, over = Way(), Event()

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            # An API server that is away for a moment is no incident.
            with suppress(AccessError):
                if who := at_work(session):
                    way.to = who
                    session.stop.set()
                    return

    looking = Thread(target=look, daemon=True, name="giving-way")
    looking.start()
    try:
        yield way
    finally:
        over.set()
        looking.join()
