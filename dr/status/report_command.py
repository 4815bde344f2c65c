"""``dr report``: what operations have left behind: how it went, how long it took, what was lost."""

import json

import click

from dr.cli.options import config_folder, options


@options("report")
@click.argument("report_id", metavar="[ID]", required=False)
@click.option("--list", "listed", is_flag=True, help="List all of them, with the trend over the drills.")
@click.option("--open", "opened", is_flag=True, help="Open it in a browser.")
def command(
    environment: str,
    config_dir: str | None,
    context: str | None,
    as_json: bool,
    report_id: str | None,
    listed: bool,
    opened: bool,
) -> None:
    """Show the report of an operation: the newest, or the one whose ID, or the beginning of it, is given.

    Changes nothing. The reports are those of this machine; drills that ran elsewhere are found in the environment's
    cluster.
    """
    from dr.cli import console
    from dr.cli.wiring import check_context, journal_of
    from dr.config.load import load_environment
    from dr.kube.api import KubernetesApi
    from dr.run.report_keeping import page_of, read_reports
    from dr.run.session import utc_now
    from dr.run.stores import ReportStore
    from dr.status.report_view import show_list, show_report_document

    found = load_environment(environment, config_folder(config_dir))
    check_context(found, context)
    journal = journal_of(found.name)
    with console.waiting("looking for reports", quiet=as_json):
        kept = read_reports(
            journal, lambda: ReportStore(KubernetesApi(found.kubernetes, found.commands), found.namespace, found.name)
        )
    trend = kept.trend(found.goals.rto_minutes * 60)
    if listed:
        if as_json:
            click.echo(json.dumps([document.as_json() for document in kept.documents], indent=2))
        else:
            show_list(kept, trend, now=utc_now())
        return
    document = kept.find(report_id, found.commands)
    path = page_of(document, journal, trend)
    if opened:
        click.launch(path.as_uri())
    if as_json:
        click.echo(json.dumps(document.as_json(), indent=2))
    else:
        show_report_document(document, path)
