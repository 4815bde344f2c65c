"""The recoverable windows, as a person reads them: both ends first, then what they rest on."""

from collections.abc import Iterator

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dr.archive.contents import Archive
from dr.archive.databases import several
from dr.archive.window import Hole, Window, holes, unusable, windows
from dr.archive.window import missing as missing_in
from dr.cli.console import out, print_whole
from dr.core.text import exact_moment_of, mebibytes_of
from dr.core.wal_names import is_segment, lsn
from dr.window.report import WindowReport, meaning
from dr.window.timeline_chart import LEGEND, picture

_WIDEST = 120


def show_window(report: WindowReport) -> None:
    """Every archive, one after the other."""
    out.print(Text(f"What {report.place} can give back, seen at {exact_moment_of(report.seen_at)}"), soft_wrap=True)
    if report.silence:
        out.print(Text(f"! Which archive serves is not known: {report.silence}", style="yellow"), soft_wrap=True)
    for archive in report.archives:
        serves = ", serves the traffic" if archive.server_name == report.serving else ""
        out.print()
        out.print(Text.assemble((archive.server_name, "bold"), serves))
        found, missing = report.windows(archive), holes(archive)
        for window in found:
            _print_window(window)
        if not found:
            out.print(Text(f"  Nothing can be recovered: {_why_nothing(archive)}", style="red"), soft_wrap=True)
        for line in _remarks(archive, missing):
            out.print(Text(f"  ! {line}", style="yellow"), soft_wrap=True)
        _print_backups(archive)
        _print_wal(archive)
        if lines := picture(archive, found, missing, width=min(out.width, _WIDEST) - 2):
            out.print()
            for line in [*lines, "", LEGEND]:
                out.print(Text(f"  {line}"), no_wrap=True, overflow="crop")
    if any(windows(archive) for archive in report.archives):
        out.print()
        out.print(
            Text(
                "Everything in the last segment was committed by the time its object was made. A target later than the "
                "last commit in it fails: PostgreSQL stops only where it meets a later commit."
            )
        )


def _print_window(window: Window) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    first, end = window.backups[0], window.end
    time = end.last_commit or end.archived
    until = exact_moment_of(time) if time else "not known"
    fact = "the last commit" if end.last_commit else f"{end.segment} archived"
    grid.add_row("from", Text(exact_moment_of(window.start), style="bold green"), f"{first.backup_id} ended")
    grid.add_row("to", Text(until, style="bold green"), fact)
    told = f", only with {window.options}" if window.options else ""
    out.print(Text(f"  Recoverable on timeline {window.timeline}{told}"), soft_wrap=True)
    print_whole(Padding(grid, (0, 0, 0, 4)))


def _why_nothing(archive: Archive) -> str:
    if archive.backups:
        return "no base backup has all of its own WAL archived"
    return "there is no completed base backup"


def _remarks(archive: Archive, missing: tuple[Hole, ...]) -> Iterator[str]:
    if told := several(archive):
        yield told
    for hole in missing:
        yield f"Hole: {missing_in(hole)}; {meaning(hole)}"
    for backup in unusable(archive):
        own = f"{backup.begin_wal} to {backup.end_wal}"
        yield f"Base backup {backup.backup_id} is of no use: a part of its own WAL, {own}, is not archived"
    others = [name for name in archive.damaged if not any(name in hole.damaged for hole in missing)]
    if others:
        why = archive.damaged[others[0]]
        yield f"WAL that cannot be replayed, before the first that can: {len(others):,}, such as {others[0]}: {why}"
    if archive.unasked:
        name, problem = next(iter(archive.unasked.items()))
        yield f"WAL that could not be looked into: {len(archive.unasked):,}, such as {name}: {problem.cause}"
    for unfinished in archive.incomplete:
        yield f"Base backup {unfinished.backup_id} does not count: {unfinished.why}"
    yield from archive.unreadable.values()
    if archive.unknown:
        count = f"{len(archive.unknown):,} object" + ("s" if len(archive.unknown) > 1 else "")
        yield f"{count} next to the WAL that barman cannot read, such as {archive.unknown[0]}: they do not count"


def _print_backups(archive: Archive) -> None:
    if not archive.backups:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("base backup", "ended, UTC", "took", "size", "tl"):
        table.add_column(heading, no_wrap=True)
    table.add_column("begin and end LSN", overflow="fold")
    for backup in archive.backups:
        table.add_row(
            backup.backup_id,
            f"{backup.end:%Y-%m-%d %H:%M:%S}",
            f"{(backup.end - backup.begin).total_seconds():,.0f} s",
            "" if backup.size is None else mebibytes_of(backup.size),
            str(backup.timeline),
            f"{lsn(backup.begin_lsn)} {lsn(backup.end_lsn)}",
        )
    print_whole(Padding(table, (0, 0, 0, 2)))


def _print_wal(archive: Archive) -> None:
    for stretch in archive.stretches:
        first, last = archive.name(stretch.timeline, stretch.first), archive.name(stretch.timeline, stretch.last)
        plural = "" if stretch.count == 1 else "s"
        out.print(Text(f"  WAL, {stretch.count:,} segment{plural}: {first} to {last}", style="dim"), soft_wrap=True)
    segments = sum(map(is_segment, archive.files))
    if segments:
        read = f"  First pages looked into: {len(archive.read):,} of {segments:,}; of all, the size"
        out.print(Text(read, style="dim"), soft_wrap=True)
    for timeline in archive.timelines:
        if switches := archive.histories.get(timeline):
            left = switches[-1]
            out.print(
                Text(f"  Timeline {timeline} left {left.parent} at {lsn(left.lsn)}: {left.reason}", style="dim"),
                soft_wrap=True,
            )
