"""``pulumi up`` and ``pulumi preview``: the program of postgres-dr, whichever stack it is for."""

from dr.program.declare import declare

declare()
