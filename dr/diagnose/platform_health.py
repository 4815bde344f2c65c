"""How nodes and pods are, as far as Kubernetes says so: for a diagnosis, which takes what it can get."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dr.core.errors import AccessError
from dr.diagnose.symptoms import NodeSeen, PodSeen
from dr.kube.api import KubernetesApi

_LAST_LINES = 40


def list_nodes(api: KubernetesApi) -> tuple[NodeSeen, ...]:
    """All nodes. Raises AccessError."""
    return tuple(map(NodeSeen.from_object, _items(api, "list the nodes", api.core.list_node)))


def list_pods(api: KubernetesApi, namespace: str, selector: str = "") -> tuple[PodSeen, ...]:
    """The pods of a namespace that match ``selector``, without those that have done their work. Raises AccessError."""
    found = _items(
        api, f"list the pods in {namespace}", api.core.list_namespaced_pod, namespace, label_selector=selector
    )
    return tuple(PodSeen.from_object(raw) for raw in found if (raw.get("status") or {}).get("phase") != "Succeeded")


def with_last_words(api: KubernetesApi, pod: PodSeen) -> PodSeen:
    """The pod with the end of the log of its container that ended; as it was where there is none (any more)."""
    what = f"read the log of {pod.namespace}/{pod.name}"
    log = api.core.read_namespaced_pod_log
    asked = {"container": pod.container, "previous": True, "tail_lines": _LAST_LINES}
    try:
        said = api.ask(what, log, pod.name, pod.namespace, _preload_content=False, **asked).data
    except AccessError:
        return pod
    return replace(pod, last_words=tuple(said.decode(errors="replace").splitlines()))


def _items(api: KubernetesApi, what: str, call: Any, *args: str, **options: str) -> list[Mapping[str, Any]]:
    """As plain values: the client's typed objects refuse what a newer server may say."""
    found: list[Mapping[str, Any]] = api.ask(what, call, *args, _preload_content=False, **options).json()["items"]
    return found
