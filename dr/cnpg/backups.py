"""A base backup on demand: CloudNativePG's ``Backup`` objects."""

from collections.abc import Callable
from threading import Event

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.clusters import GROUP, VERSION, list_objects
from dr.core.errors import AccessError, StepFailedError
from dr.core.waiting import poll
from dr.kube.api import KubernetesApi
from dr.kube.objects import MANAGED_BY

_PLURAL = "backups"
_LIMIT_SECONDS = 900
_PENDING, _DONE, _FAILED = "pending", "completed", "failed"
_ENDED = {_DONE, _FAILED, "invalid backup definition"}


def take_first_backup(
    api: KubernetesApi,
    cluster: ClusterSnapshot,
    *,
    stop: Event,
    say: Callable[[str], None],
    limit: float = _LIMIT_SECONDS,
    patience: float | None = None,
) -> str:
    """Take a base backup of ``cluster`` into its own archive and wait for it; one that was taken already is enough.

    Returns what came of it. ``limit`` is in seconds; ``say`` gets what is waited for. ``patience`` are the seconds
    after which one that waits for another Cluster's is left to CloudNativePG, which takes it later. Raises
    StepFailedError ``backup-failed``.
    """
    # By the archive: a Backup outlives its Cluster, and an earlier one of the same name had another archive.
    name, namespace = f"{cluster.server_name or cluster.name}-first", cluster.namespace
    what = f"the Backup {namespace}/{name}"
    where = (GROUP, VERSION, namespace, _PLURAL)
    if api.find(f"read {what}", api.custom.get_namespaced_custom_object, *where, name) is None:
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "Backup",
            "metadata": {"name": name, "labels": MANAGED_BY},
            "spec": {"cluster": {"name": cluster.name}, **cluster.backup_method},
        }
        api.ask(f"create {what}", api.custom.create_namespaced_custom_object, *where, body)
    for elapsed in poll(limit, stop=stop, what=what, every=0.5):
        found = api.ask(f"read {what}", api.custom.get_namespaced_custom_object, *where, name)
        status = found.get("status") or {}
        phase = status.get("phase")
        if phase == _DONE:
            return f"base backup {status.get('backupId', name)}"
        if phase == _FAILED:
            break
        before = _at_work(api, namespace) if (phase or _PENDING) == _PENDING else ""
        told = f"the Backup {name} is {phase or _PENDING}" + (f", as CloudNativePG is at {before}" if before else "")
        if before and patience is not None and elapsed > patience:
            return f"{told}. It is requested: CloudNativePG takes it without another command"
        say(f"{told}; waiting for it at most {limit:.0f} s")
    why = status.get("error") or f"it is {phase or 'not started'} after {limit:.0f} s"
    raise StepFailedError(
        "backup-failed",
        f"{what} of the cluster that serves now did not succeed: {why}",
        f"fix the cause, delete it ({api.commands.kubectl('delete', 'backup', name, namespace=namespace)}), and "
        "repeat the command",
    )


def _at_work(api: KubernetesApi, namespace: str) -> str:
    """The Backups that CloudNativePG is at, in words; it has one worker for all of them."""
    try:
        others = list_objects(api, namespace, _PLURAL)
    except AccessError:
        others = []
    return ", ".join(
        f"{other['metadata']['name']} of {other['spec']['cluster']['name']} ({phase})"
        for other in others
        if (phase := (other.get("status") or {}).get("phase")) and phase not in {_PENDING, *_ENDED}
    )
