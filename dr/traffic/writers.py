"""Stopping and starting the workloads that write to the database, and suspending what would start them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dr.cnpg.clusters import GROUP, VERSION, list_objects
from dr.config.environment import Environment
from dr.core.errors import StepFailedError
from dr.kube import workloads
from dr.kube.api import KubernetesApi
from dr.kube.objects import Workload
from dr.kube.workloads import await_stopped
from dr.run.session import Session
from dr.traffic.writer_model import AUTOSCALER, CRON_JOB, JOB, POOLER, BackgroundWriter, setting_of, to_release

STOP_SECONDS = 120
"""How long pods may take to end."""
_START_SECONDS = 300


def check_stopped(session: Session, writers: Sequence[Workload]) -> None:
    """See that nothing has started the writers again. Raises StepFailedError ``writers-came-back``."""
    namespace = session.environment.workloads.namespace
    now = [workloads.read_deployment(session.api, namespace, workload.name) for workload in writers]
    if back := [f"{found.name} {found.replicas}" for found in now if found and found.replicas]:
        raise StepFailedError(
            "writers-came-back",
            f"the workloads were started again by somebody else: {', '.join(back)}; what they have written meanwhile "
            "is in the database they write to, and nowhere else",
            "find what started them (a sync of Argo CD by hand? an autoscaler?), keep it away, and repeat the command: "
            "it stops them again",
        )


def start_writers(session: Session, writers: Sequence[Workload]) -> str:
    """Scale the Deployments to the counts to return to and wait until all pods are ready. Raises StepFailedError
    ``writers-not-ready``.
    """
    namespace = session.environment.workloads.namespace
    for workload in writers:
        workloads.scale(session.api, namespace, workload.name, workload.return_to)
    names = [workload.name for workload in writers]
    workloads.await_ready(session.api, namespace, names, limit=_START_SECONDS, stop=session.stop)
    return ", ".join(f"{workload.name} {workload.return_to}" for workload in writers) + " ready"


JOB_LABEL = "batch.kubernetes.io/job-name"
"""On every pod of a Job."""
_POOLERS = "poolers"


def list_background_writers(
    api: KubernetesApi, environment: Environment, clusters: Collection[str]
) -> tuple[BackgroundWriter, ...]:
    """All that could write or wake writers while those are stopped: the CronJobs next to the workloads, the Jobs that
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


def running_jobs(api: KubernetesApi, namespace: str) -> tuple[BackgroundWriter, ...]:
    """The Jobs that a CronJob has started and that have not ended."""
    jobs = _items(api, f"list the Jobs in {namespace}", api.batch.list_namespaced_job, namespace)
    return tuple(_one(JOB, raw) for raw in jobs if _is_of_a_cron_job(raw) and not _ended(raw))


def set_field(api: KubernetesApi, one: BackgroundWriter, patch: Mapping[str, Any]) -> None:
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
    answer = api.ask_plain(what, call, namespace)
    found: list[Mapping[str, Any]] = answer["items"]
    return found


def _one(kind: str, raw: Mapping[str, Any]) -> BackgroundWriter:
    metadata = raw["metadata"]
    return BackgroundWriter(
        kind=kind, namespace=metadata["namespace"], name=metadata["name"], setting=setting_of(kind, raw)
    )


def _scales(raw: Mapping[str, Any], environment: Environment) -> bool:
    """Whether an autoscaler is one of our Deployments'."""
    target: Mapping[str, Any] = raw["spec"]["scaleTargetRef"]
    return target["kind"] == "Deployment" and target["name"] in environment.workloads.deployments


def _is_of_a_cron_job(raw: Mapping[str, Any]) -> bool:
    return any(owner["kind"] == CRON_JOB for owner in raw["metadata"].get("ownerReferences") or ())


def _ended(raw: Mapping[str, Any]) -> bool:
    conditions: Collection[Mapping[str, Any]] = (raw.get("status") or {}).get("conditions") or ()
    return any(found["type"] in {"Complete", "Failed"} and found["status"] == "True" for found in conditions)


def _poolers(api: KubernetesApi, namespace: str, clusters: Collection[str]) -> tuple[BackgroundWriter, ...]:
    return tuple(
        BackgroundWriter(
            kind=POOLER,
            namespace=namespace,
            name=raw["metadata"]["name"],
            setting=setting_of(POOLER, raw),
            cluster=raw["spec"]["cluster"]["name"],
        )
        for raw in list_objects(api, namespace, _POOLERS)
        if raw["spec"]["cluster"]["name"] in clusters
    )


def suspend(session: Session, found: Sequence[BackgroundWriter]) -> str:
    """Hold what ``found`` was when the plan was made, as it is now, and what its CronJobs have started meanwhile; wait
    until no pod of their Jobs is left.

    What was set before is remembered first. Raises StepFailedError ``writers-still-running``.
    """
    now = list_background_writers(session.api, session.environment, {one.cluster for one in found if one.cluster})
    _suspend(session, [one for one in now if not one.held])
    # A CronJob may have fired between the look and its suspension.
    namespace = session.environment.workloads.namespace
    jobs = running_jobs(session.api, namespace)
    _suspend(session, [job for job in jobs if not job.held])
    selectors = {job.name: f"{JOB_LABEL}={job.name}" for job in jobs}
    await_stopped(session.api, namespace, selectors, limit=STOP_SECONDS, stop=session.stop)
    return f"{', '.join(dict.fromkeys(map(str, (*now, *jobs))))} held"


def resume(session: Session, serving: str) -> str:
    """Give back the settings that are remembered, when the traffic is at the Cluster ``serving``.

    The Jobs come last: what they work with is there again.
    """
    record = session.records.read()
    remembered = record.held if record else {}
    found = list_background_writers(session.api, session.environment, {serving})
    released = to_release(found, remembered, serving=serving)
    for one in sorted(released, key=lambda one: one.kind == JOB):
        set_field(session.api, one, one.release(remembered[str(one)]))
    names = {str(one) for one in released}
    session.records.change(lambda record: record.without_held(names), now=session.clock())
    return f"{', '.join(sorted(names)) or 'nothing'} as before"


def _suspend(session: Session, starting: Sequence[BackgroundWriter]) -> None:
    if starting:
        settings = {str(one): one.setting for one in starting}
        session.records.change(lambda record: record.with_held(settings), now=session.clock())
        for one in starting:
            set_field(session.api, one, one.suspend)
