"""``dr project``: a folder with the configuration becomes one that ``pulumi up`` works in."""

from importlib.util import find_spec

import click

from dr.cli.options import config_dir_option, config_folder
from dr.core.commands import command_line


@click.command("project")
@config_dir_option
@click.option("--overwrite", is_flag=True, help="Replace files of these names that are different.")
def command(config_dir: str | None, overwrite: bool) -> None:
    """Write the files of the Pulumi project next to Pulumi.<env>.yaml, for `pulumi up` without a checkout.

    They are Pulumi.yaml, __main__.py and the policy pack in policy, and run the installed tool. The other commands need
    none of them.
    """
    from dr.cli import console
    from dr.program.files import write_project

    folder = config_folder(config_dir)
    for name in (written := write_project(folder, overwrite=overwrite)):
        console.note(f"Written: {folder / name}")
    if not written:
        console.note(f"Nothing to do: {folder} has the files.")
    if find_spec("pip") is None:
        install = command_line("uv", "tool", "install", "--with", "pip", "postgres-dr")
        console.note(f"Pulumi asks pip what is installed, and there is none: {install}")
