"""``dr health``: whether a recovery would succeed, asked on every ordinary day."""

import json
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import click

from dr.cli.options import config_dir_option, config_folder, environment_option
from dr.core.commands import program
from dr.core.errors import DrError, FaultError, RequestError

if TYPE_CHECKING:
    from dr.health.evaluate import Health

_UNKNOWN = 3
_EPILOG = """\b
Exit codes, those of monitoring plugins and not of the other commands: 0 ok, 1 warning, 2 critical, 3 unknown (also a
wrong option, a wrong configuration, an interruption).
"""


class _Plugin(click.Command):
    """A command that ends as monitoring wants it: whatever keeps it from a finding is *unknown*."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **more: Any) -> click.Context:
        as_json = "--json" in args
        with _unknown_unless_found(as_json):
            return super().make_context(info_name, args, *rest, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _unknown_unless_found(bool(ctx.params.get("as_json"))):
            return super().invoke(ctx)


@contextmanager
def _unknown_unless_found(as_json: bool) -> Iterator[None]:
    """Turns a failure into its words and the exit code 3."""
    try:
        yield
    except click.UsageError as error:
        _tell(RequestError("usage", error.format_message(), f"see {program()} health --help"), as_json=as_json)
        raise click.exceptions.Exit(_UNKNOWN) from error
    except DrError as error:
        _tell(error, as_json=as_json)
        raise click.exceptions.Exit(_UNKNOWN) from error
    except (click.Abort, KeyboardInterrupt) as error:
        raise click.exceptions.Exit(_UNKNOWN) from error
    except click.exceptions.Exit:
        raise
    except Exception as error:
        fault = FaultError("fault", f"{type(error).__name__}: {error}", "report it, with the traceback below")
        _tell(fault, as_json=as_json)
        traceback.print_exception(error)
        raise click.exceptions.Exit(_UNKNOWN) from error


def _tell(error: DrError, *, as_json: bool) -> None:
    from dr.cli.console import error_as_json, show_error

    if as_json:
        click.echo(json.dumps({**error_as_json(error), "exitCode": _UNKNOWN}, indent=2))
    else:
        show_error(error)


@click.command("health", cls=_Plugin, epilog=_EPILOG)
@environment_option()
@click.option("--all", "everything", is_flag=True, help="All environments of the folder, side by side.")
@config_dir_option
@click.option("--context", help="Must be the environment's own kubeconfig context; any other is refused.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; with --watch one a line.")
@click.option("--prometheus", is_flag=True, help="Print Prometheus' text format.")
@click.option("--verbose", "-v", is_flag=True, help="Show the checks that are ok, too.")
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C; ends with the last exit code.")
@click.option(
    "--interval", default=60.0, type=click.FloatRange(min=1), show_default=True, help="With --watch: seconds."
)
@click.pass_context
def command(
    ctx: click.Context,
    environment: str | None,
    everything: bool,
    config_dir: str | None,
    context: str | None,
    as_json: bool,
    prometheus: bool,
    verbose: bool,
    watch: bool,
    interval: float,
) -> None:
    """Say whether a recovery would succeed, and how long it would take. Changes nothing.

    Looks at archiving, base backups, the bucket's own contents, volumes, replication, versions, credentials and more,
    all at once. For monitoring, and for a weekly look.
    """
    _refuse_nonsense(environment, everything, context, as_json=as_json, prometheus=prometheus, watch=watch)
    from dr.cli import console, signals

    folder = config_folder(config_dir)
    look = _looker(folder, environment, context)
    if watch:
        stop = Event()
        with signals.stopping(stop, looking=True):
            show = partial(_show, as_json=as_json, prometheus=prometheus, verbose=verbose, lines=True)
            code = watch_health(look, show, interval=interval, stop=stop)
    else:
        with console.waiting("looking at everything", quiet=as_json or prometheus):
            found = look()
        code = _show(found, as_json=as_json, prometheus=prometheus, verbose=verbose)
    ctx.exit(code)


def _refuse_nonsense(
    environment: str | None, everything: bool, context: str | None, *, as_json: bool, prometheus: bool, watch: bool
) -> None:
    if everything == (environment is not None):
        raise click.UsageError("give --env or --all, one of both")
    if everything and context is not None:
        raise click.UsageError("--context is one environment's: it does not go with --all")
    if as_json and prometheus:
        raise click.UsageError("--json and --prometheus: one at a time")
    if prometheus and watch:
        raise click.UsageError("--prometheus prints one set of measures: have it run again rather than --watch")


def _looker(folder: Path, name: str | None, context: str | None) -> "Callable[[], tuple[Health, ...]]":
    """The function that looks at the environment, or at all of them side by side. Connections are made once."""
    from concurrent.futures import ThreadPoolExecutor

    from dr.cli.wiring import open_session
    from dr.config.load import environment_names, load_environment
    from dr.core.errors import AccessError
    from dr.engine.backend import state_folder
    from dr.health.check import Unavailable
    from dr.health.observe import check
    from dr.run.session import utc_now

    def connected(found: Any) -> Any:
        try:
            return open_session(found, context)
        except AccessError as error:
            return Unavailable(code=error.code, why=error.cause, remedy=error.remedy)

    names = environment_names(folder) if name is None else (name,)
    if not names:
        raise RequestError("no-environment", f"{folder} has no environment", "name another folder with --config-dir")
    places = [(found, connected(found)) for found in (load_environment(one, folder) for one in names)]

    def look_at(place: Any) -> "Health":
        found, session = place
        journal = state_folder() / "journal" / f"{found.name}.jsonl"
        return check(found, session, journal=journal, clock=utc_now)

    def look() -> "tuple[Health, ...]":
        with ThreadPoolExecutor(max_workers=len(places)) as pool:
            return tuple(pool.map(look_at, places))

    return look


def _show(found: "tuple[Health, ...]", *, as_json: bool, prometheus: bool, verbose: bool, lines: bool = False) -> int:
    """Print what was found; returns the exit code."""
    from dr.health.evaluate import as_json as document

    told = document(found)
    if prometheus:
        from dr.health.view import exposition

        click.echo(exposition(found), nl=False)
    elif as_json:
        click.echo(json.dumps(told, indent=None if lines else 2))
    else:
        from dr.health.view import show_health

        show_health(found, verbose=verbose)
    return int(told["exitCode"])


def watch_health(
    look: "Callable[[], tuple[Health, ...]]",
    show: "Callable[[tuple[Health, ...]], int]",
    *,
    interval: float,
    stop: Event,
) -> int:
    """Look and show every ``interval`` seconds, until ``stop`` is set. Returns the last exit code."""
    code = _UNKNOWN
    while not stop.is_set():
        begun = time.monotonic()
        code = show(look())
        stop.wait(max(0.0, interval - (time.monotonic() - begun)))
    return code
