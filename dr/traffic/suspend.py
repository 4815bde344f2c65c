"""Holding what writes, or wakes writers, by itself, and letting it go."""

from collections.abc import Sequence

from dr.kube.workloads import await_stopped
from dr.run.session import Session
from dr.traffic.background_writers import JOB, SelfStarter, to_release
from dr.traffic.background_writers_api import JOB_LABEL, list_self_starters, running_jobs, set_field

_STOP_SECONDS = 120


def hold(session: Session, found: Sequence[SelfStarter]) -> str:
    """Hold ``found``, and what its CronJobs have started meanwhile; wait until no pod of their Jobs is left.

    What was set before is remembered first. Raises AccessError ``writers-still-running``.
    """
    _hold(session, [one for one in found if not one.held])
    # A CronJob may have fired between the look and its suspension.
    namespace = session.environment.workloads.namespace
    jobs = running_jobs(session.api, namespace)
    _hold(session, [job for job in jobs if not job.held])
    selectors = {job.name: f"{JOB_LABEL}={job.name}" for job in jobs}
    await_stopped(session.api, namespace, selectors, limit=_STOP_SECONDS, stop=session.stop)
    return f"{', '.join(str(one) for one in {**dict.fromkeys(found), **dict.fromkeys(jobs)})} held"


def let_go(session: Session, serving: str) -> str:
    """Give back the settings that are remembered, when the traffic is at the Cluster ``serving``.

    The Jobs come last: what they work with is there again.
    """
    record = session.records.read()
    remembered = record.held if record else {}
    found = list_self_starters(session.api, session.environment, {serving})
    released = to_release(found, remembered, serving=serving)
    for one in sorted(released, key=lambda one: one.kind == JOB):
        set_field(session.api, one, one.release(remembered[str(one)]))
    names = {str(one) for one in released}
    session.records.change(lambda record: record.without_held(names), now=session.clock())
    return f"{', '.join(sorted(names)) or 'nothing'} as before"


def _hold(session: Session, starting: Sequence[SelfStarter]) -> None:
    if starting:
        settings = {str(one): one.setting for one in starting}
        session.records.change(lambda record: record.with_held(settings), now=session.clock())
        for one in starting:
            set_field(session.api, one, one.hold)
