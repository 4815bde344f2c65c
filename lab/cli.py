"""The command line of the lab: parses, calls, prints. The only place that ends the process."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console

from lab import lock, machine, paths
from lab.errors import LabError, NotThisMachineError
from lab.steps import pretty
from lab.store_faults import ANSWERS, StoreFault

FAILED = 1
WRONG_MACHINE = 3
NOT_HEALTHY = 4
INTERRUPTED = 130

EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not on this machine, 4 (status) not healthy, 130 interrupted."


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A whole platform on this machine, to try recoveries on: Kubernetes, CNPG, PostgreSQL, GCS, Pulumi."""
    from lab.environment import past_proxies

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as ctrl-C: what runs is ended in order
    os.environ.update(past_proxies())  # for this process, and for the parts that it starts


@main.command()
def up() -> None:
    """Bring the lab up: build and start what is missing, leave the rest."""
    from lab import up as action  # the Kubernetes client takes a second to import: only where it is used

    with _failures():
        where, cache, console = _here()
        with lock.held(paths.lock_path(where), console.print):
            began = time.monotonic()
            action.up(where, cache, console)
            console.print(f"The lab is up, after {pretty(time.monotonic() - began)}. Use it with:", highlight=False)
            console.print('  eval "$(python -m lab env)"', highlight=False)


@main.command()
@click.option("--cache", "drop_cache", is_flag=True, help="Remove the cache too: the next `up` rebuilds everything.")
def down(*, drop_cache: bool) -> None:
    """Take the lab down, and leave nothing of it behind."""
    from lab import down as action

    with _failures():
        where, _, console = _here()
        with lock.held(paths.lock_path(where), console.print, remove=True):
            began = time.monotonic()
            action.down(where)
            if drop_cache:
                _remove_cache()
            console.print(f"The lab is down, after {pretty(time.monotonic() - began)}.", highlight=False)


@main.command()
@click.option("--plugin", "by_plugin", is_flag=True, help="Let dev's database archive by the Barman Cloud plugin.")
def reset(*, by_plugin: bool) -> None:
    """Put the lab's data back: databases, backups, workloads, Pulumi state. The platform stays up."""
    from lab import reset as action

    with _failures():
        where, cache, console = _here()
        with lock.held(paths.lock_path(where), console.print):
            action.reset(where, cache, console, by_plugin=by_plugin)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(*, as_json: bool) -> None:
    """Show what runs, what is healthy, and where everything lies."""
    from lab import status as action

    with _failures():
        where, cache, _ = _here()
        found = action.status(where, cache)
    if as_json:
        click.echo(json.dumps(found.document(), indent=2))
    else:
        for component in found.parts:
            mark = click.style("ok  ", fg="green") if component.healthy else click.style("down", fg="red")
            process = f" (pid {component.pid})" if component.pid else ""
            click.echo(f"{mark} {component.name:14} {component.what}: {component.detail}{process}")
        click.echo("")
        for title, values in (("versions", found.versions), ("paths", found.paths)):
            click.echo(f"{title}: " + ", ".join(f"{name} {value}" for name, value in values.items()))
    if not found.healthy:
        sys.exit(NOT_HEALTHY)


@main.group()
def gitops() -> None:
    """Let Argo CD keep the lab's data as a Git repository declares it. Off, unless turned on here."""


@gitops.command()
@click.option(
    "--git-declares-enabled",
    is_flag=True,
    help="Git says `enabled: true` in each Application, so that the root undoes a pause of another.",
)
def on(*, git_declares_enabled: bool) -> None:
    """Make the Git repository as new, and let Argo CD sync; done when all is synced and healthy."""
    from lab import gitops as action

    with _failures():
        where, cache, console = _here()
        with lock.held(paths.lock_path(where), console.print):
            action.on(where, cache, console, declares_enabled=git_declares_enabled)


@gitops.command()
def off() -> None:
    """Remove the Applications and Argo CD's marks; what it kept stays as it is, and so does the repository."""
    from lab import gitops as action

    with _failures():
        where, cache, console = _here()
        with lock.held(paths.lock_path(where), console.print):
            action.off(where, cache, console)


@gitops.command("status")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def gitops_status(*, as_json: bool) -> None:
    """Show whether it is on, each Application, and where the repository lies."""
    from lab import gitops as action

    with _failures():
        found = action.status(_here()[0])
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"gitops is {'on' if found['on'] else 'off'}")
    for application in found["applications"]:
        pace = "syncs automatically" if application["automated"] else "paused"
        words = [application["sync"], application["health"], pace, f"at {application['revision'][:12] or 'no commit'}"]
        click.echo(f"  {application['name']:14} {', '.join(words)}  {application['message']}".rstrip())
    if found["repository"]:
        click.echo(f"repository {found['repository']} at {found['revision'][:12]}, clone {found['clone']}")


@main.group()
def cluster() -> None:
    """Lose the whole cluster, as a GKE cluster is lost; the bucket, Git and Pulumi's state stay."""


@cluster.command()
def gone() -> None:
    """Remove node, etcd, volumes and Argo CD. `up` and `reset` bring all back, or a rebuild does."""
    from lab import disaster

    with _failures():
        where, cache, console = _here()
        with lock.held(paths.lock_path(where), console.print):
            disaster.lose(where, cache, console)


@cluster.command()
def new() -> None:
    """Bring up an empty Kubernetes on a new node, as the double of Google does when a cluster is asked for."""
    from lab import disaster

    with _failures():
        where, cache, console = _here()
        with lock.held(paths.lock_path(where), console.print):
            disaster.renew(where, cache, console)


@main.group()
def google() -> None:
    """The double of Google: have it fail, and see what was asked of it."""


@google.command("fault")
@click.argument("answer")
@click.option("--on", default="*", show_default=True, help="Pattern of the type: `*Cluster`.")
@click.option("--operation", default="*", show_default=True, help="create, read, update or delete.")
@click.option("--times", type=int, default=1, show_default=True, help="How many calls; -1 is every call.")
def google_fault(answer: str, on: str, operation: str, times: int) -> None:
    """Have the next calls answered with ANSWER: quota, conflict, api-disabled, unavailable, permission, ..."""
    from lab.gcp import component, faults

    with _failures():
        found = faults.Fault(answer=answer, on=on, operation=operation, times=times)
        with component.cloud(_here()[0]).change() as contents:
            faults.inject(contents, found)


@google.command("mend")
def google_mend() -> None:
    """Have nothing go wrong any more."""
    from lab.gcp import component, faults

    with _failures(), component.cloud(_here()[0]).change() as contents:
        faults.clear(contents)


@google.command("calls")
def google_calls() -> None:
    """Print every change that was asked of it since `up` or `reset`."""
    from lab.gcp import component

    with _failures():
        for call in component.cloud(_here()[0]).read().calls:
            click.echo(call)


@main.group()
def fault() -> None:
    """Let a part fail for a while, to see how what is tried takes it."""


@fault.command("bucket")
@click.argument("answer", type=click.Choice(list(ANSWERS)), default="503")
@click.option("--seconds", type=click.FloatRange(min=0), default=60.0, show_default=True, help="For how long.")
@click.option("--on", default="", help="Only where an object's name has this in it (regular expression).")
@click.option("--every", type=click.IntRange(min=1), default=1, show_default=True, help="Only each n-th request.")
@click.option("--times", type=int, default=-1, show_default=True, help="How many requests; -1 is every one.")
@click.option("--after", default="", help="Begin when an object of such a name is first asked for.")
@click.option("--slow-by", type=click.FloatRange(min=0), default=5.0, show_default=True, help="Seconds, if it is slow.")
def fault_bucket(*, answer: str, seconds: float, on: str, every: int, times: int, after: str, slow_by: float) -> None:
    """Have the object store answer everything with 503, or with ANSWER; it is back afterwards, and at ctrl-C.

    404: the object is not there, and no listing has it. slow: every answer comes late. cut: the connection ends in the
    middle of the body.
    """
    from lab import faults

    with _failures():
        where, _, console = _here()
        found = StoreFault(
            answer=answer, seconds=seconds, on=on, every=every, times=times, after=after, slow_by=slow_by
        )
        with lock.held(paths.lock_path(where), console.print):
            begins = f", from when {after} is asked for" if after else ""
            console.print(f"the object store answers {answer} for {pretty(seconds)}{begins}", highlight=False)
            met = faults.fail_bucket(where, found).met
            console.print(f"it is back; {len(met)} requests had it", highlight=False)


@main.command()
def env() -> None:
    """Print the environment to work on the lab with, for `eval`."""
    from lab.environment import environment

    with _failures():
        for name, value in environment().items():
            click.echo(f"export {name}={shlex.quote(value)}")


@main.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec(command: tuple[str, ...]) -> None:  # noqa: A001 - the command's name
    """Run COMMAND with the environment of the lab."""
    from lab.environment import environment

    with _failures():
        variables = {**os.environ, **environment()}
        program = shutil.which(command[0], path=variables["PATH"])
        if program is None:
            raise LabError(f"running {command[0]}", "there is no such program on the PATH", "check its name")
    os.execve(program, command, variables)


def _here() -> tuple[paths.State, paths.Cache, Console]:
    machine.check()
    # A CI log is no 80 columns wide terminal: its lines are left whole.
    console = Console() if sys.stdout.isatty() else Console(width=200, soft_wrap=True)
    return paths.state(), paths.cache(), console


def _remove_cache() -> None:
    root = paths.cache().root
    for folder, _, files in os.walk(root):
        # Go makes its module cache read-only, against accidents.
        os.chmod(folder, 0o755)  # noqa: PTH101
        del files
    shutil.rmtree(root, ignore_errors=True)


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except NotThisMachineError as error:
        click.echo(error, err=True)
        sys.exit(WRONG_MACHINE)
    except LabError as error:
        click.echo(error, err=True)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        click.echo("interrupted; run the command again to continue", err=True)
        sys.exit(INTERRUPTED)
