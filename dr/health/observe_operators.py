"""What runs beside the database to keep it: CloudNativePG's operator, and the Barman Cloud plugin."""

from typing import Any

from dr.cnpg.object_stores import plugin_fault
from dr.health.snapshot import Operators, Program
from dr.kube.api import KubernetesApi

_OPERATOR, _PLUGIN = "cloudnative-pg", "plugin-barman-cloud"
"""The last part of their images' names."""


def find_operators(api: KubernetesApi, namespace: str, *, plugin_used: bool) -> Operators:
    """What is there of both. Raises AccessError."""
    found = api.ask(
        f"list the Deployments in {namespace}", api.apps.list_namespaced_deployment, namespace, _preload_content=False
    ).json()["items"]
    return Operators(
        operator=_program(found, _OPERATOR),
        plugin=_program(found, _PLUGIN),
        plugin_fault=plugin_fault(api) if plugin_used else "",
    )


def _program(deployments: list[Any], image: str) -> Program | None:
    for deployment in deployments:
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            name, tag = split_image(container["image"])
            if name == image:
                return Program(
                    name=deployment["metadata"]["name"],
                    version=tag,
                    ready=int((deployment.get("status") or {}).get("readyReplicas") or 0),
                )
    return None


def split_image(reference: str) -> tuple[str, str]:
    """The last part of an image's name, and its tag, empty where there is none."""
    name, _, tag = reference.partition("@")[0].rsplit("/", 1)[-1].partition(":")
    return name, tag
