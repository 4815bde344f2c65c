"""What in a database acts on the outside, or is acted on from there, and comes to life with a copy of it. Pure."""

import json
from dataclasses import dataclass

OUTSIDE = """SELECT json_build_object(
'subscriptions', (SELECT coalesce(json_agg(subname ORDER BY subname), '[]') FROM pg_subscription WHERE subenabled),
'slots', (SELECT coalesce(json_agg(slot_name ORDER BY slot_name), '[]') FROM pg_replication_slots
  WHERE slot_type = 'logical'),
'prepared', (SELECT coalesce(json_agg(gid ORDER BY gid), '[]') FROM pg_prepared_xacts))"""
"""Asks for it, in any database of the server: the three are shared by all."""


@dataclass(frozen=True, kw_only=True)
class Outside:
    """``subscriptions`` are those that are enabled, ``slots`` the logical replication slots, ``prepared`` the prepared
    transactions; by name.
    """

    subscriptions: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    prepared: tuple[str, ...] = ()


def read_outside(answer: str) -> Outside:
    """The answer to :data:`OUTSIDE`. Raises ValueError where it is none."""
    found = json.loads(answer)
    return Outside(**{name: tuple(names) for name, names in found.items()})
