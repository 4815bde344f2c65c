"""Whose password a login is tried with, so that it proves something of the workloads: what they have themselves."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.clusters import find_cluster
from dr.cnpg.recovered import SOURCE_ANNOTATION
from dr.core.errors import AccessError, StepFailedError
from dr.kube.api import KubernetesApi
from dr.kube.objects import Workload
from dr.kube.workloads import read_secret

_USER_KEYS = ("username", "user")
"""``username`` is the key of ``kubernetes.io/basic-auth``; CloudNativePG's own Secrets have ``user``, too."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """A user name and a password, base64 as Kubernetes keeps them, and ``whose`` they are, for people."""

    secret: Mapping[str, str]
    whose: str


def logins_for(
    api: KubernetesApi, new_cluster: ClusterSnapshot, workloads: Iterable[Workload], *, namespace: str, back: bool
) -> tuple[Login, ...]:
    """What to log in at ``new_cluster`` with: each Secret of the ``workloads``, in ``namespace``, with the database
    owner's user name. Where none is recognised, what they used before: the Secret of the Cluster that ``new_cluster``
    was recovered from, or on the way ``back``, and where that is gone, the one of ``new_cluster`` itself.

    Raises StepFailedError ``secret-missing`` when that is not there either.
    """
    users: dict[str, list[str]] = {}
    for workload in workloads:
        for name in workload.secrets:
            users.setdefault(name, []).append(workload.name)
    known: dict[str, Login] = {}
    for name, who in sorted(users.items()):
        data = _readable(api, namespace, name)
        user = next((data[key] for key in _USER_KEYS if key in data), "")
        if "password" in data and _decoded(user) == new_cluster.owner:
            secret = {"username": user, "password": data["password"]}
            known.setdefault(secret["password"], Login(secret=secret, whose=f"Secret {name} of {', '.join(who)}"))
    return tuple(known.values()) or (_before(api, new_cluster, back=back),)


def _before(api: KubernetesApi, new_cluster: ClusterSnapshot, *, back: bool) -> Login:
    unknown = "as no Secret of the workloads is known to be the owner's"
    name = "" if back else new_cluster.annotations.get(SOURCE_ANNOTATION, "")
    source = find_cluster(api, new_cluster.namespace, name) if name else None
    if source is not None and (secret := read_secret(api, source.namespace, source.app_secret)) is not None:
        return Login(secret=secret, whose=f"Secret {source.app_secret} of {source.name}, {unknown}")
    own = read_secret(api, new_cluster.namespace, new_cluster.app_secret)
    if own is None:
        raise StepFailedError(
            "secret-missing",
            f"there is no Secret {new_cluster.namespace}/{new_cluster.app_secret}",
            "restore the Secret of the database's owner",
        )
    return Login(secret=own, whose=f"Secret {new_cluster.app_secret} of {new_cluster.name} itself, {unknown}")


def _readable(api: KubernetesApi, namespace: str, name: str) -> Mapping[str, str]:
    """The Secret's data; none where it is not there, or not this user's to read."""
    try:
        return read_secret(api, namespace, name) or {}
    except AccessError as error:
        if error.code != "forbidden":
            raise
        return {}


def _decoded(value: str) -> str:
    return base64.b64decode(value).decode(errors="replace")
