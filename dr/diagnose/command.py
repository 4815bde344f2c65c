"""``dr diagnose``: which row of the failure table this is, and what to do."""

import json
from contextlib import suppress

import click

from dr.cli.options import config_folder, options


@options("diagnose")
def command(environment: str, config_dir: str | None, context: str | None, as_json: bool) -> None:
    """Look at what is broken, and say which failure this is, what recovers automatically, and the command otherwise.

    Changes nothing, and works when everything is down: what does not answer within seconds is itself a symptom.
    """
    from dr.cli import console
    from dr.cli.wiring import check_context
    from dr.config.load import infrastructure_of, load_environment
    from dr.core.errors import ConfigError
    from dr.diagnose.observe import look
    from dr.diagnose.view import show_diagnosis
    from dr.run.session import utc_now

    folder = config_folder(config_dir)
    found, platform = load_environment(environment, folder), None
    # On the worst day a fault in another file is no reason to say nothing.
    with suppress(ConfigError):
        platform = infrastructure_of(found, folder).platform
    check_context(found, context)
    with console.waiting("looking at the cluster, the bucket, the application and Google's status", quiet=as_json):
        diagnosis = look(found, platform, clock=utc_now)
    if as_json:
        click.echo(json.dumps(diagnosis.as_json(), indent=2))
    else:
        show_diagnosis(diagnosis)
