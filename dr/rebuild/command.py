"""``dr full-rebuild``: from the backups to an application that answers, whatever is left of the rest."""

import json
from threading import Event

import click

from dr.cli.operate import plan_options
from dr.cli.options import config_folder, options


@options("full-rebuild")
@click.option("--region", help="Build it in this region instead; docs/rebuild.md says what that needs.")
@click.option("--zone", help="A zonal control plane in this zone of --region.  [default: the region's]")
@click.option("--durable", help="The stack that holds the backups' bucket.  [default: the environment's]")
@plan_options
def command(
    environment: str,
    config_dir: str | None,
    context: str | None,
    as_json: bool,
    region: str | None,
    zone: str | None,
    durable: str | None,
    dry_run: bool,
    yes: bool,
    confirmed: str | None,
    take_over: bool,
) -> None:
    """Rebuild the platform from what survives, and recover the database into it.

    Bucket and identity are adopted, network and cluster made where they are gone, Argo CD brings what Git declares, the
    database is recovered from its archive unless it is there already, and the traffic is moved to it. What is there is
    kept: on a platform that is well there is nothing to do.
    """
    from dr.cli import console, signals
    from dr.cli.operate import Agreement, agree
    from dr.cli.progress import reporter_for
    from dr.cli.wiring import check_context
    from dr.config.load import load_environment
    from dr.rebuild.plan import RebuildRequest, decide_rebuild
    from dr.rebuild.run import Rebuild
    from dr.rebuild.setup import open_setup
    from dr.rebuild.view import show_rebuild

    signals.interrupt_on_sigterm()
    folder = config_folder(config_dir)
    found = load_environment(environment, folder)
    check_context(found, context)
    request = RebuildRequest(region=region or "", zone=zone or "", durable=durable or "")
    with console.waiting("looking at the backups, at Google and at the cluster", quiet=as_json):
        setup = open_setup(found, folder, request, take_over=take_over)
        rebuild = Rebuild(decide_rebuild(found, request, setup.look()))
    if console.planned_only(rebuild.plan, dry_run=dry_run, as_json=as_json):
        return
    agreement = Agreement(
        steps=len(rebuild.plan.steps),
        environment=found.name,
        name=found.source_cluster,
        consequence=f"builds the platform of {found.name}, stops its writers and moves its traffic",
        by_name=True,
    )
    agree(agreement, as_json=as_json, yes=yes, confirmed=confirmed)
    stop = Event()
    with signals.stopping(stop), reporter_for(rebuild.plan, quiet=as_json) as reporter:
        report = setup.run(rebuild, reporter, stop)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        show_rebuild(report)
