"""``dr drill``: try the recovery of a disaster, next to everything that runs."""

import json
import secrets

import click

from dr.cli.options import config_folder, options


@options("drill")
@click.option("--latest", is_flag=True, help="Recover to the end of the archived WAL, as after a disaster.  [default]")
@click.option("--target-time", help="Recover to a moment, with its zone: 2026-04-27T09:55:00Z.")
@click.option("--random", "by_lot", is_flag=True, help="Recover to a random position in the archived WAL.")
@click.option("--source", help="The Cluster to recover from.  [default: the one that serves the traffic]")
@click.option("--quick", is_flag=True, help="Do not read every page and index (amcheck).")
@click.option("--dry-run", is_flag=True, help="Look, show the plan, change nothing.")
def command(
    environment: str,
    config_dir: str | None,
    context: str | None,
    as_json: bool,
    latest: bool,
    target_time: str | None,
    by_lot: bool,
    source: str | None,
    quick: bool,
    dry_run: bool,
) -> None:
    """Recover the database into a scratch Cluster, verify it, measure RTO and RPO, and tidy up.

    No writer is stopped, nothing is asked of the source but to be read, and it gives way as soon as somebody begins a
    real operation. Exit code 0 is a drill that passed, 7 a recovery that failed, 8 a database that is not what it
    should be. What an earlier, killed drill has left is removed.
    """
    from dr.cli import console, signals
    from dr.cli.progress import reporter_for
    from dr.cli.wiring import open_journal, open_session
    from dr.config.load import load_environment
    from dr.core.errors import RequestError
    from dr.core.target import TimeTarget
    from dr.drill.observe import request_for
    from dr.drill.plan import OPERATION
    from dr.drill.run import Drill, decide
    from dr.drill.view import show_drill
    from dr.run.report_keeping import ReportData
    from dr.run.session import utc_now

    if sum((latest, by_lot, target_time is not None)) > 1:
        raise RequestError(
            "targets-exclude-each-other",
            "--latest, --target-time and --random exclude each other: a recovery stops at one target",
            "keep one of them, or none for the end of the archived WAL",
        )
    signals.interrupt_on_sigterm()
    found = load_environment(environment, config_folder(config_dir))
    target = TimeTarget.parse(target_time, now=utc_now()) if target_time is not None else None
    session = open_session(found, context)
    with console.waiting("looking at the cluster and the backups", quiet=as_json):
        request = request_for(session, target=target, source=source, random=by_lot, quick=quick, draw=secrets.randbelow)
        journal = open_journal(session, OPERATION, recorded=False)
        drill = Drill(decide(session, request))
    if console.planned_only(drill.plan, dry_run=dry_run, as_json=as_json):
        return
    report_data = ReportData()
    with signals.stopping(session.stop), reporter_for(drill.plan, quiet=as_json) as reporter:
        report = drill.run(session=session, journal=journal, reporter=reporter, report_data=report_data)
    kept_at = str(report_data.kept_at or "")
    if as_json:
        click.echo(json.dumps({**report.as_json(), "report": kept_at}, indent=2))
    else:
        show_drill(report)
    console.show_kept("" if as_json else kept_at, not_kept=report_data.not_kept, unwritten=journal.unwritten)
