"""Named restore points: a place in the WAL to come back to, made before a risky change."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dr.archive.contents import Catalogue
from dr.cnpg.cluster import ClusterSnapshot, problems_of_archive
from dr.core.commands import CommandLines
from dr.core.errors import Problem, RequestError
from dr.core.text import moment_of
from dr.run.record import Mark

KEPT = 100
"""How many the record keeps; the WAL itself forgets none."""

LONGEST_NAME = 63
"""In bytes: PostgreSQL's ``MAXFNAMELEN`` less one (manual, ``pg_create_restore_point``)."""


@dataclass(frozen=True, kw_only=True)
class Marks:
    """The marks of an environment, oldest first, and the Cluster that recoveries come from by default. ``commands``
    are the environment's.
    """

    environment: str
    commands: CommandLines
    serving: str
    marks: tuple[Mark, ...]

    def command(self, mark: Mark) -> str:
        """The command that comes back to ``mark``."""
        return mark.command(self.commands, serving=self.serving)

    def as_json(self) -> Mapping[str, Any]:
        """The marks as plain values, each with its command."""
        marks = [{**mark.as_json(), "command": self.command(mark)} for mark in self.marks]
        return {"environment": self.environment, "marks": marks}


def check_mark_name(name: str) -> None:
    """Raise RequestError when ``name`` cannot be a restore point's, or cannot be a target."""
    if not name or len(name.encode()) > LONGEST_NAME or re.search(r"[\x00-\x1f\x7f]", name):
        raise RequestError(
            "mark-name-malformed",
            f"{name!r} cannot be a restore point's name",
            f"give 1 to {LONGEST_NAME} bytes without control characters, such as before-migration-42",
        )


def with_mark(marks: tuple[Mark, ...], mark: Mark) -> tuple[Mark, ...]:
    """The marks with ``mark``, in place of an earlier state of it; the newest last."""
    return (*(other for other in marks if other.name != mark.name), mark)[-KEPT:]


def problems_of_mark(
    name: str,
    marks: Marks,
    source: ClusterSnapshot | None,
    catalogue: Catalogue | None,
) -> Iterator[Problem]:
    """What would keep a restore point ``name`` in the Cluster that serves from being a target."""
    say, serving = marks.commands, marks.serving
    used = next((mark for mark in marks.marks if mark.name == name and mark.archived), None)
    if used is not None:
        yield Problem(
            code="mark-exists",
            cause=f"there is a restore point {name} in {used.cluster} already, of {moment_of(used.made)}",
            remedy="give another name: a recovery stops at the first restore point of a name that it meets",
        )
    if source is None or source.primary is None:
        yield Problem(
            code="mark-without-primary",
            cause=f"the Cluster {serving} has no primary to make a restore point in",
            remedy=f"see what is wrong with it: {say.dr('status')}; a restore point is made while all is well",
        )
        return
    yield from problems_of_archive(source)
    if source.store is not None and (catalogue is None or not catalogue.backups):
        yield Problem(
            code="no-backup",
            cause=f"there is no completed base backup of {source.store.server_name} below {source.store.url}",
            remedy=f"make one first: {say.kubectl('cnpg', 'backup', source.name, namespace=source.namespace)}",
        )
    if source.archiving.working is False:
        yield Problem(
            code="archiving-failing",
            cause=f"WAL archiving of {source.name} fails: {source.archiving.message or 'no message'}",
            remedy="fix it first (credentials, bucket): a recovery can only go back to what is archived",
        )
