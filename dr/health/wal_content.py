"""Health of what is in the archived WAL: whether it can be replayed, and whether it is of one database. Pure."""

from collections.abc import Iterator

from dr.archive.contents import Archive
from dr.archive.databases import several
from dr.archive.wal_needed import REFUSALS
from dr.archive.window import holes, unusable
from dr.core.wal_names import is_segment
from dr.health.check import Check, State, Unavailable
from dr.health.snapshot import HealthSnapshot


def checks_of_wal_content(snapshot: HealthSnapshot) -> Iterator[Check]:
    """The checks ``wal-readable`` and ``databases``."""
    seen = snapshot.archive
    if isinstance(seen, Unavailable):
        yield from (seen.as_check(name) for name in ("wal-readable", "databases"))
    elif seen.archive is None:
        yield from (
            Check(name=name, state=State.OK, message="there is no WAL; see the check window")
            for name in ("wal-readable", "databases")
        )
    else:
        yield _readable(seen.archive)
        yield _databases(seen.archive)


def _readable(archive: Archive) -> Check:
    """By the sizes of all objects, and the first pages of some."""
    name, segments = "wal-readable", sum(map(is_segment, archive.files))
    values = {"wal_unreadable_total": len(archive.damaged), "wal_pages_read_total": len(archive.read)}
    looked = f"the first pages of {len(archive.read):,} of {segments:,} segments"
    if archive.damaged:
        first, why = max(archive.damaged.items())
        # As with holes: what the newest base backup does without is no emergency any more.
        open_end = any(hole.damaged and hole.needed and not hole.resumes for hole in holes(archive))
        useless = archive.backups[-1:] and archive.backups[-1] in unusable(archive)
        return Check(
            name=name,
            state=State.CRITICAL if open_end or useless else State.WARNING,
            message=f"{len(archive.damaged):,} WAL segment(s) in the bucket cannot be replayed, such as {first}: {why}",
            remedy="take a base backup now; then put the object back as it was (from the bucket's versions, "
            "or soft delete), and find out what damaged it",
            values=values,
        )
    if archive.unasked:
        first, problem = max(archive.unasked.items())
        return Check(
            name=name,
            state=State.CRITICAL if problem.code in REFUSALS else State.UNKNOWN,
            message=f"{len(archive.unasked):,} WAL segment(s) could not be read, such as {first}: {problem.cause}",
            remedy=problem.remedy,
            values=values,
        )
    return Check(
        name=name,
        state=State.OK,
        message=f"the sizes of all objects, and {looked}, are as they should be",
        values=values,
    )


def _databases(archive: Archive) -> Check:
    if told := several(archive):
        return Check(
            name="databases",
            state=State.WARNING,
            message=f"{told}: the newer one writes over the older one's WAL, and each needs base backups of its own",
            remedy="let a Cluster that is created again archive to a serverName of its own; take a base backup if the "
            "newest is not of the database that serves",
        )
    return Check(
        name="databases", state=State.OK, message="the archive is of one database, by its base backups and WAL"
    )
