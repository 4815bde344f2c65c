"""What an extraction cannot bring, or has no room for, from what the scratch Cluster shows. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dr.core.errors import VerificationError
from dr.core.text import bytes_of
from dr.extract.preconditions import ExtractRequest
from dr.extract.table_facts import TableFacts


@dataclass(frozen=True, kw_only=True)
class Room:
    """How much room a file system has, in bytes. ``device`` is the same for two folders on one."""

    device: str
    free: int


@dataclass(frozen=True, kw_only=True)
class Rooms:
    """What the load writes to: the folders of the data, by tablespace with "" for the database's own, and the WAL's."""

    data: Mapping[str, Room]
    wal: Room


def hold_room(request: ExtractRequest, facts: TableFacts, rooms: Rooms, *, live: str) -> None:
    """Raise VerificationError ``no-room-for-table`` where the load may fill a file system: it writes the table twice,
    as what is rewritten is there until the end, and its WAL once, which stays until it is archived.

    How it is spread over several tablespaces is not known in advance: each of them has to have the room for all.
    """
    needed: dict[str, int] = {room.device: 2 * facts.size for room in rooms.data.values()}
    needed[rooms.wal.device] = needed.get(rooms.wal.device, 0) + facts.size
    free = {room.device: room.free for room in (*rooms.data.values(), rooms.wal)}
    for device, count in needed.items():
        if free[device] >= count:
            continue
        what = [
            f"the tablespace {name}" if name else "the data"
            for name, room in rooms.data.items()
            if room.device == device
        ]
        what += ["the WAL"] if rooms.wal.device == device else []
        raise VerificationError(
            "no-room-for-table",
            f"{request.table} has {bytes_of(facts.size)}, and the volume of {live} for {' and '.join(what)} has "
            f"{bytes_of(free[device])} left, of which {bytes_of(count)} should be free",
            "enlarge the live Cluster's storage.size, walStorage.size or the tablespace's, and repeat the command: it "
            "continues with the scratch Cluster",
        )


def hold_objects(request: ExtractRequest, columns: Sequence[str]) -> None:
    """Raise VerificationError ``large-objects-left-out`` for a swap of a table whose ``columns`` have the OIDs of large
    objects: these are not part of a table, and are not copied.
    """
    if columns and request.swap:
        raise VerificationError(
            "large-objects-left-out",
            f"{request.table} refers to large objects by {' and '.join(columns)}, and they are not brought back with "
            "it; nothing was loaded, and the scratch Cluster stays",
            "leave --swap out, and look which are missing in the live database (pg_largeobject_metadata); copy those "
            "from the scratch Cluster (--keep-scratch) with lo_get and lo_from_bytea; else pitr",
        )


def left_out_beside(facts: TableFacts, objects: Sequence[str], *, owner: str | None) -> tuple[str, ...]:
    """What the table that is loaded next to the present one is not given. ``owner`` is the only one who may read it,
    None where it has the rights of the target.
    """
    found = [f"{key}: {key.definition}" for key in facts.keys_out]
    found += [f"the large objects that column {column} refers to: they are as they are now" for column in objects]
    if owner:
        found.append(f"rights, as the present table is better protected: it is readable by its owner {owner} alone")
    return tuple(found)


def remedy_of_load(said: str) -> str:
    """What to do about a load that failed, by PostgreSQL's words. "during inlining" and "PL/pgSQL function" stand in
    the context of an error in a function that the load called.
    """
    if re.search(r"CONTEXT: .*(function|during inlining|during startup)", said, re.DOTALL):
        return (
            "a function that an index, a constraint or a generated column calls finds what it needs by search_path "
            "only: ALTER FUNCTION ... SET search_path = public (or where it is) in the live database, then repeat the "
            "command, which continues with the scratch Cluster"
        )
    return "create what it names (a type, a function or a role that is missing there?), then repeat the command"
