"""The ``dr`` command: finds the subcommand, and turns every failure into words and an exit code.

Only click is imported here, so that ``--help`` answers at once; a subcommand's own imports wait until it runs.
"""

import json
import sys
import traceback
from difflib import get_close_matches
from importlib import import_module
from itertools import pairwise

import click

from dr import __version__
from dr.core.commands import ANY_PROGRAM, CommandLines, program
from dr.core.errors import DrError, FaultError, InterruptedOperationError, RequestError

_SECTIONS = {
    "When something is broken": ("diagnose", "pitr", "latest", "extract", "full-rebuild"),
    "Afterwards": ("status", "resume", "switchover", "rollback", "finalize", "report"),
    "On any other day": ("health", "window", "drill", "mark", "preview"),
    "Once": ("adopt", "migrate-to-plugin", "project"),
    "About the tool": ("version", "completion"),
}
"""The commands in the order in which they are wanted."""

_COMMANDS = {
    "diagnose": "dr.diagnose.command:command",
    "pitr": "dr.recovery.command:pitr",
    "latest": "dr.recovery.command:latest",
    "extract": "dr.extract.command:command",
    "full-rebuild": "dr.rebuild.command:command",
    "status": "dr.status.command:status",
    "resume": "dr.status.command:resume",
    "switchover": "dr.switchover.command:switchover",
    "rollback": "dr.switchover.command:rollback",
    "finalize": "dr.finalize.command:command",
    "report": "dr.status.report_command:command",
    "health": "dr.health.command:command",
    "window": "dr.window.command:command",
    "drill": "dr.drill.command:command",
    "mark": "dr.mark.command:command",
    "preview": "dr.preview.command:command",
    "adopt": "dr.adopt.command:command",
    "migrate-to-plugin": "dr.migrate.command:command",
    "project": "dr.program.command:command",
    "version": "dr.version.command:command",
    "completion": "dr.cli.completion:command",
}
"""Where each command is: its module, and its name in it."""

_ALIASES = {"window": "recovery-window", "mark": "restore-point", "extract": "restore-table"}
"""A second name of a command: the one that most people try first."""

_EPILOG = """\b
Exit codes: 0 done, 1 a fault of this tool, 2 a request that makes no sense, 3 configuration, 4 refused (a precondition
does not hold), 5 no access (Kubernetes, object store), 6 Pulumi, 7 the recovery failed, 8 verification failed,
9 you declined, 10 a step failed, 130 interrupted. Whether anything was changed is said at the end. health has those of
monitoring plugins, and preview its own.
"""


class _Lazy(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [name for names in _SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        cmd_name = next((name for name, alias in _ALIASES.items() if alias == cmd_name), cmd_name)
        if cmd_name not in self.list_commands(ctx):
            return None
        module, name = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it; a command that is not there is answered with those that are spelt alike."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            alike = get_close_matches(args[0], self.list_commands(ctx))
            if not alike:
                raise
            raise click.UsageError(f"{error.message} Did you mean {' or '.join(alike)}?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Every command with its whole first sentence; click would cut it off to fit one line."""
        shown = {name: ", ".join(filter(None, [name, _ALIASES.get(name)])) for name in self.list_commands(ctx)}
        widest = max(map(len, shown.values()))
        for title, names in _SECTIONS.items():
            known = [(shown[name].ljust(widest), self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl([(name, found.get_short_help_str(limit=1000)) for name, found in known if found])


@click.group(
    cls=_Lazy, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="dr")
def cli() -> None:
    """Disaster recovery for PostgreSQL on CloudNativePG and GKE.

    \b
    Something is broken, and nobody knows what:
      python -m dr diagnose --env prod

    \b
    A table was dropped, a migration went wrong:
      python -m dr pitr --env prod --target-time 2026-04-27T09:55:00Z

    \b
    Only one table is gone or damaged, and what was written elsewhere since must stay:
      python -m dr extract --env prod --table public.users --target-time 2026-04-27T09:55:00Z

    \b
    The database is broken: recover to the latest committed transaction:
      python -m dr latest --env prod

    \b
    The Kubernetes cluster is gone, and the backups are there:
      python -m dr full-rebuild --env prod
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code. Failures go to stderr, or as JSON to stdout with --json."""
    from dr.cli.completion import VARIABLE
    from dr.cli.signals import Begun

    as_json, Begun.anything = "--json" in arguments, False
    # The examples are those that can be typed here.
    cli.help = (cli.help or "").replace(ANY_PROGRAM, program())
    try:
        ended = cli.main(args=arguments, prog_name=program(), complete_var=VARIABLE, standalone_mode=False)
    except click.ClickException as error:
        if as_json:
            return _fail(RequestError("usage", error.format_message(), f"see {program()} --help"), arguments)
        error.show()
        return error.exit_code
    except click.Abort:
        return _fail(
            _unless_begun(InterruptedOperationError("interrupted", "stopped", "repeat the command")), arguments
        )
    except DrError as error:
        return _fail(error, arguments)
    except Exception as error:  # noqa: BLE001 - a traceback is no way to talk to an operator; it goes below the message
        fault = FaultError("fault", f"{type(error).__name__}: {error}", "report it, with the traceback below")
        code = _fail(_unless_begun(fault), arguments)
        traceback.print_exception(error)
        return code
    # A command that has an exit code of its own ends its context with it; another returns None.
    return ended if isinstance(ended, int) else 0


def _unless_begun(error: DrError) -> DrError:
    """The error, which does not know itself whether anything was changed."""
    from dr.cli.signals import Begun

    error.unsure = Begun.anything and error.stopped is None
    return error


def _fail(error: DrError, arguments: list[str]) -> int:
    from dr.cli.console import error_as_json, show_error

    if "--json" in arguments:
        click.echo(json.dumps(error_as_json(error), indent=2))
    else:
        show_error(error, _commands_of(arguments))
    return error.exit_code


def _commands_of(arguments: list[str]) -> CommandLines:
    """The commands of the environment that was asked for, as far as the words alone say which."""
    words = [part for word in arguments for part in (word.split("=", 1) if word.startswith("--") else [word])]
    given = dict(pairwise(words))
    return CommandLines(environment=given.get("--env", ""), config_dir=given.get("--config-dir", ""))
