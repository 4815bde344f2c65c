"""Whether clients inside the cluster reach the right database under the name they use, and whether the application
works.
"""

import base64
from threading import Event

import requests

from dr.core.errors import StepFailedError, VerificationError
from dr.core.waiting import poll
from dr.kube.pod_exec import PodExec
from dr.postgres.sql import conninfo
from dr.traffic.passwords import Login

_EXEC_SECONDS = 20
_REFUSALS = ("authentication failed", "does not exist", "pg_hba.conf", "valid client certificate")
"""PostgreSQL's words when it does not let a user in. Anything else may pass: a pod whose fence was just taken away is
ready, and so behind its Service, only with the next probe.
"""
# The password comes by standard input: arguments of an exec are written into audit logs.
_LOGIN = 'IFS= read -r PGPASSWORD; export PGPASSWORD; exec psql "$@"'


def await_same_address(pod: PodExec, alias: str, host: str, *, limit: float, stop: Event) -> str:
    """Wait until ``alias`` leads to the addresses of ``host``, as seen from inside ``pod``. Returns them, of whatever
    family they are.

    ``limit`` is in seconds. Raises StepFailedError ``name-not-moved`` at the limit.
    """
    for _ in poll(limit, stop=stop, what=f"{alias} to lead to {host}", every=0.5):
        wanted, found = _addresses(pod, host), _addresses(pod, alias)
        if wanted and wanted == found:
            return found
    raise StepFailedError(
        "name-not-moved",
        f"inside the cluster {alias} still leads to {found or 'nowhere'} {limit:.0f} s after the change, "
        f"and not to {wanted or 'an address'}, which is {host}",
        "something put the Service back (Argo CD?), or the cluster's DNS caches for long: look at the Service",
    )


def log_in(pod: PodExec, *, host: str, database: str, login: Login, limit: float, stop: Event) -> str:
    """Log in at ``host`` with the user and password of ``login``, over TLS.

    Returns the address of the server that answered, which is waited for up to ``limit`` seconds. Raises
    VerificationError ``login-failed``: at once where PostgreSQL refuses, else at the limit.
    """
    try:
        user, password = (base64.b64decode(login.secret[key]).decode() for key in ("username", "password"))
    except KeyError as error:
        raise StepFailedError(
            "secret-incomplete",
            f"{login.whose}: it has no {error.args[0]}",
            "add what is missing, and repeat the command",
        ) from error
    settings = conninfo(host=host, dbname=database, user=user, sslmode="require", connect_timeout=10)
    for _ in poll(limit, stop=stop, what=f"a login at {host}", every=0.5):
        ran = pod.run(
            ["sh", "-c", _LOGIN, "psql", "-XqAt", "-d", settings, "-c", "SELECT host(inet_server_addr())"],
            what=f"log in at {host}",
            limit=_EXEC_SECONDS,
            standard_input=f"{password}\n",
        )
        if ran.code == 0:
            return ran.output.strip()
        if any(word in ran.errors for word in _REFUSALS):
            break
    raise VerificationError(
        "login-failed",
        f"{user} cannot log in at {host} with the password of {login.whose}: {ran.errors.strip()}",
        "do not start the workloads; compare the Secret with the one of the recovered cluster, or go back",
    )


def _addresses(pod: PodExec, name: str) -> str:
    """The addresses of ``name``, IPv4 and IPv6, in one order; empty when it has none."""
    ran = pod.run(["getent", "ahosts", name], what=f"look up {name}", limit=_EXEC_SECONDS)
    found = {line.split()[0] for line in ran.output.splitlines() if line.strip()} if ran.code == 0 else set()
    return ", ".join(sorted(found))


_ANSWER_SECONDS = 10


def await_ok(url: str, *, limit: float, stop: Event, remedy: str) -> str:
    """Ask ``url`` until it answers 200, as an application takes a moment to find its new database.

    Returns what it answered, in a line. ``limit`` is in seconds. Raises VerificationError ``smoke-test-failed`` at the
    limit, with ``remedy``.
    """
    for _ in poll(limit, stop=stop, what=f"{url} to answer 200", every=1):
        said = ask(url, seconds=_ANSWER_SECONDS)
        if said.startswith("200"):
            return said
    raise VerificationError("smoke-test-failed", f"{url} answers {said} after {limit:.0f} s", remedy)


def ask(url: str, *, seconds: float) -> str:
    """What ``url`` answers now, in a line that begins with its status."""
    try:
        answer = requests.get(url, timeout=seconds)
    except requests.RequestException as error:
        return f"nothing: {error}"[:200]
    return f"{answer.status_code} {' '.join(answer.text.split())}"[:200].strip()
