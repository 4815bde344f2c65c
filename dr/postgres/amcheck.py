"""Looking for damage in a database, page by page, with PostgreSQL's own ``pg_amcheck`` in its pod.

It reads every table and checks every B-tree index against it, so a page checksum that is wrong is met as well. The
extension that it needs is installed: this is for a scratch Cluster.
"""

from dataclasses import dataclass
from threading import Event

from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import PodExec
from dr.postgres.psql import CONTAINER

_NOT_FOUND = 127
_DAMAGED = 2
_LINES = 5
_DIED = "server closed the connection unexpectedly"
"""What is in a damaged page can kill the server that reads it. ``libpq``'s words."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found. ``whole`` is None where it could not be looked for."""

    whole: bool | None
    said: str


def check_database(
    api: KubernetesApi, *, namespace: str, pod: str, database: str, limit: float, stop: Event
) -> Checked:
    """Check all of ``database``; ``limit`` is in seconds. Raises AccessError, ``exec-timeout`` at the limit."""
    # A shell, so that a program that is not there is an exit code; the name is an argument of its own.
    script = 'exec pg_amcheck --install-missing --heapallindexed --jobs=2 --database="$1"'
    ran = PodExec(api, namespace=namespace, pod=pod, container=CONTAINER).run(
        ["bash", "-c", script, "pg_amcheck", database],
        what=f"check the database in {namespace}/{pod}",
        limit=limit,
        stop=stop,
    )
    said = [line for line in (ran.output + ran.errors).splitlines() if line.strip()]
    if any(_DIED in line for line in said):
        return Checked(whole=False, said=f"the server died while it read a page: {' / '.join(said[:_LINES])}")
    if ran.code == 0:
        return Checked(whole=True, said="no damage in any table or B-tree index")
    if ran.code == _DAMAGED:
        more = f" … {len(said) - _LINES} lines more" if len(said) > _LINES else ""
        return Checked(whole=False, said=" / ".join(said[:_LINES]) + more)
    if ran.code == _NOT_FOUND:
        return Checked(whole=None, said="not possible: the image has no pg_amcheck")
    return Checked(whole=None, said=f"not possible: {' / '.join(said[:_LINES]) or f'exit code {ran.code}'}")
