"""``dr migrate-to-plugin``: the change of Git that makes the database archive by the Barman Cloud plugin."""

import json
from pathlib import Path

import click

from dr.cli.options import config_folder, options
from dr.core.commands import command_line


@options("migrate-to-plugin")
@click.option(
    "--checkout",
    required=True,
    type=click.Path(exists=True, file_okay=False),
    help="A checkout of the repository that declares the Cluster.",
)
@click.option("--branch", default="", help="The branch to write.  [default: postgres-dr/<env>-plugin]")
@click.option("--push", is_flag=True, help="Push the branch to where the checkout came from.")
@click.option("--dry-run", is_flag=True, help="Show what would change, write nothing.")
def command(
    environment: str,
    config_dir: str | None,
    context: str | None,
    as_json: bool,
    checkout: str,
    branch: str,
    push: bool,
    dry_run: bool,
) -> None:
    """Write the move from the in-tree object store to the Barman Cloud plugin, for a review.

    An ObjectStore is declared next to the Cluster, which gets the plugin in place of barmanObjectStore, and its
    ScheduledBackups the plugin's method. The serverName stays, and so does the archive: the plugin reads and writes the
    same layout. Only a branch of the checkout is written; the cluster and the working tree are left alone.
    """
    from dr.cli import console
    from dr.cli.wiring import open_session
    from dr.config.load import load_environment
    from dr.migrate.run import write_migration

    found = load_environment(environment, config_folder(config_dir))
    session = open_session(found, context)
    with console.waiting("looking at the cluster and the checkout", quiet=as_json):
        report = write_migration(session, Path(checkout).resolve(), branch=branch, push=push, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
        return
    for change in report.migration.changes:
        console.note(f"  {change}")
    if report.commit:
        where = f", pushed to {report.pushed}" if report.pushed else ""
        console.note(f"\nWritten: commit {report.commit[:12]} on branch {report.branch} of {report.root}{where}")
        console.note(f"  {command_line('git', '-C', report.root, 'show', report.branch)}")
    else:
        console.note("\nDry run: nothing was written.")
    console.note("\nSee to it:")
    for check in report.migration.checks:
        console.note(f"  {check}")
