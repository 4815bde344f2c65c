"""What an extraction has no room for."""

import pytest

from dr.core.errors import VerificationError
from dr.extract.limits import Room, Rooms, hold_room, remedy_of_load
from tests.support.extractions import a_table, an_extract_request

SIZE = 2**20
TABLE = a_table(size=SIZE)


def _rooms(wal: Room, **data: Room) -> Rooms:
    return Rooms(data={"": Room(device="data", free=2 * SIZE)} | data, wal=wal)


@pytest.mark.parametrize(
    ("rooms", "who"),
    [
        (_rooms(Room(device="wal", free=SIZE)), ""),
        (_rooms(Room(device="wal", free=SIZE - 1)), "for the WAL has"),
        (_rooms(Room(device="data", free=2 * SIZE)), "for the data and the WAL has"),
        (
            _rooms(Room(device="wal", free=SIZE), fast=Room(device="f", free=2 * SIZE - 1)),
            "for the tablespace fast has",
        ),
    ],
)
def test_each_volume_that_is_written_to_has_to_have_room(rooms: Rooms, who: str) -> None:
    """E24. The WAL of the load could fill the volume of walStorage, and the primary went down."""
    if not who:
        hold_room(an_extract_request(), TABLE, rooms, live="postgres-prod")
        return
    with pytest.raises(VerificationError) as failed:
        hold_room(an_extract_request(), TABLE, rooms, live="postgres-prod")
    assert failed.value.code == "no-room-for-table"
    assert who in failed.value.cause


def test_the_remedy_of_a_failed_load_is_for_what_failed() -> None:
    """X8."""
    inside = 'ERROR:  function plain(text) does not exist\nCONTEXT:  SQL function "f" during inlining'
    assert "search_path" in remedy_of_load(inside)
    assert "a role" in remedy_of_load('ERROR:  role "x" does not exist')
