"""``dr version``: the parts of the tool, for a report of a fault and before a recovery."""

import json

import click


@click.command("version")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of prose.")
def command(as_json: bool) -> None:
    """Show the versions of all that the tool works with on this machine. Asks no cluster.

    `--version` says only the tool's own, at once.
    """
    from dr.version.observe import parts

    found = parts()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    widest = max(map(len, found))
    for name, said in found.items():
        click.echo(f"{name.ljust(widest)}  {said}")
