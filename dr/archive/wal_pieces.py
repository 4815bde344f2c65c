"""The archived WAL before a segment, in pieces, newest first: what is read when the WAL on the server is not enough."""

from collections.abc import Iterator
from dataclasses import dataclass

from dr.archive.contents import Archive, Path
from dr.core.wal_names import name_of, number_of, timeline_of


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Segments of one timeline to be read at once, oldest first. ``after`` is the segment that follows, in which their
    last record may end; ``after_as`` is its name on their timeline, and ``end`` the position where it begins.
    """

    segments: tuple[str, ...]
    after: str
    after_as: str
    end: int


def pieces_before(archive: Archive, segment: str, *, size: int) -> Iterator[Piece]:
    """The pieces of up to ``size`` segments that lead to ``segment``, newest first, until one is not archived, or is
    damaged.

    A segment that holds a switch of timelines is read on the newer one, as PostgreSQL does.
    """
    newest, gathered = segment, list[str]()
    for name in _names_before(archive, segment):
        if gathered and (len(gathered) == size or timeline_of(name) != timeline_of(gathered[0])):
            yield _piece(archive, gathered, newest)
            newest, gathered = gathered[0], []
        gathered.insert(0, name)
    if gathered:
        yield _piece(archive, gathered, newest)


def first_missing(archive: Archive, oldest: str) -> str:
    """The segment before ``oldest``, at which going back ends."""
    number = number_of(oldest, archive.segment_size) - 1
    return archive.name(_timeline_at(archive.path(timeline_of(oldest)), number), number)


def _names_before(archive: Archive, segment: str) -> Iterator[str]:
    path = archive.path(timeline_of(segment))
    for number in range(number_of(segment, archive.segment_size) - 1, -1, -1):
        name = archive.name(_timeline_at(path, number), number)
        if name not in archive.files or name in archive.damaged:
            return
        yield name


def _timeline_at(path: Path, number: int) -> int:
    """The timeline that the segment ``number`` is read on."""
    return next(path.timelines_at(number))


def _piece(archive: Archive, segments: list[str], after: str) -> Piece:
    number = number_of(after, archive.segment_size)
    return Piece(
        segments=tuple(segments),
        after=after,
        after_as=name_of(timeline_of(segments[0]), number, archive.segment_size),
        end=number * archive.segment_size,
    )
