"""Names of WAL segments and positions in the WAL, by barman's arithmetic.

A position (LSN) is a number of bytes, as PostgreSQL's ``pg_lsn``. A segment is its timeline and its number: the
position at which it begins, divided by the segment size. Numbers grow by one where names do not.
"""

from barman import xlog

DEFAULT_SEGMENT_SIZE: int = xlog.DEFAULT_XLOG_SEG_SIZE
"""In bytes: PostgreSQL's own default, 16 MiB."""


def timeline_of(name: str) -> int:
    """The timeline of a segment's or a history file's ``name``."""
    return int(xlog.decode_segment_name(name)[0])


def number_of(name: str, size: int) -> int:
    """The number of the segment ``name``, in an archive of segments of ``size`` bytes."""
    return position_of(xlog.location_from_xlogfile_name_offset(name, 0, size)) // size


def name_of(timeline: int, number: int, size: int) -> str:
    """The name of a segment by its timeline and number."""
    return str(xlog.location_to_xlogfile_name_offset(lsn(number * size), timeline, size)["file_name"])


def is_segment(name: str) -> bool:
    """Whether ``name`` is a whole segment's: no ``.partial``, no ``.backup``, no ``.history``."""
    return bool(xlog.is_wal_file(name))


def is_history(name: str) -> bool:
    """Whether ``name`` is a timeline history file's."""
    return bool(xlog.is_history_file(name))


def position_of(text: str) -> int:
    """The position written as ``text``, such as ``0/3000028``. Raises ValueError."""
    return int(xlog.parse_lsn(text))


def lsn(position: int) -> str:
    """A position as PostgreSQL writes it."""
    return str(xlog.format_lsn(position))
