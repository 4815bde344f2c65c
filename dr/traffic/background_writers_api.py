"""Finding and holding what writes, or wakes writers, by itself. What that is stands in the model of the same name."""

from collections.abc import Collection, Mapping
from typing import Any

from dr.cnpg.clusters import GROUP, VERSION, list_objects
from dr.config.environment import Environment
from dr.kube.api import KubernetesApi
from dr.traffic.background_writers import AUTOSCALER, CRON_JOB, JOB, POOLER, SelfStarter, setting_of

JOB_LABEL = "batch.kubernetes.io/job-name"
"""On every pod of a Job."""
_POOLERS = "poolers"


def list_self_starters(
    api: KubernetesApi, environment: Environment, clusters: Collection[str]
) -> tuple[SelfStarter, ...]:
    """All that could write or wake writers while those are stopped: the CronJobs beside the workloads, the Jobs that
    run for them, the autoscalers of the workloads, the Poolers of ``clusters``. Raises
    AccessError.
    """
    namespace = environment.workloads.namespace
    cron_jobs = _items(api, f"list the CronJobs in {namespace}", api.batch.list_namespaced_cron_job, namespace)
    autoscalers = _items(
        api,
        f"list the autoscalers in {namespace}",
        api.autoscaling.list_namespaced_horizontal_pod_autoscaler,
        namespace,
    )
    return (
        *(_one(CRON_JOB, raw) for raw in cron_jobs),
        *running_jobs(api, namespace),
        *(_one(AUTOSCALER, raw) for raw in autoscalers if _scales(raw, environment)),
        *_poolers(api, environment.namespace, clusters),
    )


def running_jobs(api: KubernetesApi, namespace: str) -> tuple[SelfStarter, ...]:
    """The Jobs that a CronJob has started and that have not ended."""
    jobs = _items(api, f"list the Jobs in {namespace}", api.batch.list_namespaced_job, namespace)
    return tuple(_one(JOB, raw) for raw in jobs if _is_of_a_cron_job(raw) and not _ended(raw))


def set_field(api: KubernetesApi, one: SelfStarter, patch: Mapping[str, Any]) -> None:
    """Merge ``patch`` into the object. One that is gone meanwhile starts nothing any more."""
    what = f"patch the {one}"
    if one.kind == POOLER:
        api.find(
            what,
            api.custom.patch_namespaced_custom_object,
            GROUP,
            VERSION,
            one.namespace,
            _POOLERS,
            one.name,
            dict(patch),
        )
        return
    call = {
        CRON_JOB: api.batch.patch_namespaced_cron_job,
        JOB: api.batch.patch_namespaced_job,
        AUTOSCALER: api.autoscaling.patch_namespaced_horizontal_pod_autoscaler,
    }[one.kind]
    api.find(what, call, one.name, one.namespace, dict(patch), _preload_content=False)  # nothing of the answer is used


def _items(api: KubernetesApi, what: str, call: Any, namespace: str) -> list[Mapping[str, Any]]:
    """The objects as plain values, as the API server sends them."""
    answer = api.ask(what, call, namespace, _preload_content=False)
    found: list[Mapping[str, Any]] = answer.json()["items"]
    return found


def _one(kind: str, raw: Mapping[str, Any]) -> SelfStarter:
    metadata = raw["metadata"]
    return SelfStarter(kind=kind, namespace=metadata["namespace"], name=metadata["name"], setting=setting_of(kind, raw))


def _scales(raw: Mapping[str, Any], environment: Environment) -> bool:
    """Whether an autoscaler is one of our Deployments'."""
    target: Mapping[str, Any] = raw["spec"]["scaleTargetRef"]
    return target["kind"] == "Deployment" and target["name"] in environment.workloads.deployments


def _is_of_a_cron_job(raw: Mapping[str, Any]) -> bool:
    return any(owner["kind"] == CRON_JOB for owner in raw["metadata"].get("ownerReferences") or ())


def _ended(raw: Mapping[str, Any]) -> bool:
    conditions: Collection[Mapping[str, Any]] = (raw.get("status") or {}).get("conditions") or ()
    return any(found["type"] in {"Complete", "Failed"} and found["status"] == "True" for found in conditions)


def _poolers(api: KubernetesApi, namespace: str, clusters: Collection[str]) -> tuple[SelfStarter, ...]:
    return tuple(
        SelfStarter(
            kind=POOLER,
            namespace=namespace,
            name=raw["metadata"]["name"],
            setting=setting_of(POOLER, raw),
            cluster=raw["spec"]["cluster"]["name"],
        )
        for raw in list_objects(api, namespace, _POOLERS)
        if raw["spec"]["cluster"]["name"] in clusters
    )
