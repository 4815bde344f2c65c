"""A table's name as people write it in SQL."""

import re
from dataclasses import dataclass

from dr.core.errors import RequestError

_PART = r'(?:[^\W\d][\w$]*|"(?:[^"]|"")+")'
_NAME = re.compile(rf"(?:({_PART})\.)?({_PART})")
_LONGEST = 63  # NAMEDATALEN - 1


@dataclass(frozen=True)
class TableName:
    """A table's name with its schema, as they stand in the catalog."""

    schema: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "TableName":
        """Read ``users``, ``public.users`` or ``public."Users"`` as SQL does: in lower case unless quoted, in the
        schema ``public`` unless one is named. Raises RequestError.
        """
        found = _NAME.fullmatch(text.strip())
        parts = [_plain(part) for part in (found[1] or "public", found[2])] if found else []
        if not parts or any(len(part.encode()) > _LONGEST for part in parts):
            raise RequestError(
                "table-name-malformed",
                f"{text!r} is no table's name",
                'write it as in SQL: users, public.users or public."Users"',
            )
        return cls(*parts)

    @property
    def sql(self) -> str:
        """The name, quoted for SQL."""
        return ".".join('"' + part.replace('"', '""') + '"' for part in (self.schema, self.name))

    def __str__(self) -> str:
        """The name as one would write it: quoted where it has to be."""
        return ".".join(
            part if re.fullmatch(r"[a-z_][a-z0-9_$]*", part) else '"' + part.replace('"', '""') + '"'
            for part in (self.schema, self.name)
        )


def _plain(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part.lower()
