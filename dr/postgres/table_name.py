"""A table's name, and the names that are made from it, under PostgreSQL's rules for identifiers."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase

from dr.core.errors import RequestError
from dr.core.target import TimeTarget
from dr.postgres.sql import identifier

IDENTIFIER_BYTES = 63
"""The longest identifier, in bytes of UTF-8: ``NAMEDATALEN - 1`` (PostgreSQL manual, "Identifiers and Key Words")."""

STAGING_PREFIX = "postgres_dr_"

# As ident_start, ident_cont and xd of PostgreSQL's scan.l: whatever is not ASCII is a letter there.
_LETTER = r"A-Za-z_\x80-\ud7ff\ue000-\U0010ffff"
_PART = rf'(?:[{_LETTER}][{_LETTER}0-9$]*|"(?:[^"\x00\ud800-\udfff]|"")+")'
_NAME = re.compile(rf"(?:({_PART})\.)?({_PART})")
_SPACE = " \t\n\r\f\v"
_FOLD = str.maketrans(ascii_uppercase, ascii_lowercase)
"""ASCII alone: so ``downcase_identifier`` (scansup.c) folds in every multi-byte encoding, such as UTF-8."""


@dataclass(frozen=True, order=True)
class TableName:
    """A table in its schema, as the catalogue has it: without quotes."""

    schema: str
    table: str

    @classmethod
    def parse(cls, text: str, *, option: str = "--table") -> "TableName":
        """Read ``schema.table``, or ``table`` for one in ``public``, as SQL does: in lower case unless it is quoted.
        ``option`` is where it was given, for the message.

        Raises RequestError ``table-name-malformed``, also for a name that PostgreSQL would cut off.
        """
        found = _NAME.fullmatch(text.strip(_SPACE))
        parts = [_unquoted(part) for part in (found[1] or "public", found[2])] if found else []
        if not parts or any(len(part.encode()) > IDENTIFIER_BYTES for part in parts):
            raise RequestError(
                "table-name-malformed",
                f"{option} {text!r} is not a valid table name: schema.table, each at most {IDENTIFIER_BYTES} bytes",
                f"write it as in SQL: {option} public.users, or {option} 'sales.\"Order\"' where it needs quotes",
            )
        return cls(*parts)

    @property
    def sql(self) -> str:
        """The qualified name in a statement."""
        return f"{identifier(self.schema)}.{identifier(self.table)}"

    def __str__(self) -> str:
        """The name as people write it, quoted only where it has to be; :meth:`parse` reads it back."""
        return f"{_shown(self.schema)}.{_shown(self.table)}"


def stamp(target: TimeTarget) -> str:
    """The target in a name: ``20261123t090102z``, in UTC."""
    return f"{target.time:%Y%m%dt%H%M%Sz}"


def recovered_as(table: TableName, target: TimeTarget) -> TableName:
    """What the table as it was at ``target`` is called next to the present one."""
    return TableName(table.schema, suffixed(table.table, f"_recovered_{stamp(target)}"))


def kept_as(table: TableName, target: TimeTarget) -> TableName:
    """What a table is called after the one of ``target`` took its place."""
    return TableName(table.schema, suffixed(table.table, f"_before_{stamp(target)}"))


def staging_schema(table: TableName, target: TimeTarget) -> str:
    """The schema that the table is loaded into before it gets its place.

    The same for each try of the same extraction, so that a later one finds what an earlier one left.
    """
    digest = hashlib.sha256(f"{table.sql} {target.value}".encode()).hexdigest()
    return f"{STAGING_PREFIX}{digest[:12]}"


def suffixed(name: str, suffix: str) -> str:
    """``name`` with ``suffix``; a long name loses its end, and never half of a character."""
    return name.encode()[: IDENTIFIER_BYTES - len(suffix.encode())].decode(errors="ignore") + suffix


def all_suffixed(names: Iterable[str], suffix: str) -> Mapping[str, str]:
    """Each name with ``suffix``, and with a number besides where two would become one."""
    found: dict[str, str] = {}
    for name in names:
        number, made = 1, suffixed(name, suffix)
        while made in found.values():
            number += 1
            made = suffixed(name, f"{suffix}_{number}")
        found[name] = made
    return found


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part.translate(_FOLD)


def _shown(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_$]*", name) else identifier(name)
