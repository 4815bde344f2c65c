"""``dr completion``: the script with which a shell completes the commands, their options and the environments."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

VARIABLE = "_DR_COMPLETE"
"""By it the script asks the program for completions, whatever name that has."""

_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command("completion")
@click.argument("shell", type=click.Choice(tuple(_SHELLS)))
@click.option(
    "--program",
    type=click.Choice(("dr", "postgres-dr")),
    default="dr",
    show_default=True,
    help="The name that the program is called by.",
)
@click.pass_context
def command(ctx: click.Context, shell: str, program: str) -> None:
    """Print what makes the shell complete commands, options and environments.

    \b
    bash  eval "$(dr completion bash)"       in ~/.bashrc; bash 4.4 or newer
    zsh   eval "$(dr completion zsh)"        in ~/.zshrc, after compinit
    fish  dr completion fish | source        in ~/.config/fish/config.fish
    """
    click.echo(_SHELLS[shell](ctx.find_root().command, {}, program, VARIABLE).source())
