"""The steps by which every operation stops the writers, and what would start them again."""

from collections.abc import Collection, Iterator, Sequence

from dr.core.plan import Phase, Step, StepOf
from dr.kube import workloads
from dr.kube.objects import Workload
from dr.run.operation import Operation
from dr.traffic.poolers import await_paused
from dr.traffic.writer_model import POOLER, WORDS, BackgroundWriter
from dr.traffic.writers import STOP_SECONDS, resume, suspend

_PAUSE_SECONDS = 30


class StopWriters(StepOf[Operation]):
    """``undo`` are the commands that take it back."""

    key, title, phase = "stop-writers", "Stop the writers", Phase.PREPARATION
    done_when = "no pod of them is left, terminating ones included"

    def __init__(self, op: Operation, workloads: Sequence[Workload], *, undo: Sequence[str]) -> None:
        super().__init__(op)
        self._workloads, self._undo = workloads, tuple(undo)

    def detail(self) -> str:
        names = ", ".join(workload.name for workload in self._workloads)
        return f"scale {names} in {self.op.environment.workloads.namespace} to 0 and wait until their pods are gone"

    def undo(self) -> tuple[str, ...]:
        return self._undo

    def run(self) -> str:
        """Raises AccessError ``writers-still-running``."""
        session, namespace = self.op.session, self.op.environment.workloads.namespace
        for workload in self._workloads:
            if workload.replicas:
                workloads.scale(session.api, namespace, workload.name, 0)
        selectors = {workload.name: workload.selector for workload in self._workloads}
        workloads.await_stopped(session.api, namespace, selectors, limit=STOP_SECONDS, stop=session.stop)
        return "no pod left"


class SuspendBackgroundWriters(StepOf[Operation]):
    key, title, phase = "hold", "Hold what starts automatically", Phase.PREPARATION
    done_when = "each is set so, and no pod of their Jobs is left"

    def __init__(self, op: Operation, found: Sequence[BackgroundWriter]) -> None:
        super().__init__(op)
        self._found = found

    def detail(self) -> str:
        return ", ".join(f"{WORDS[one.kind]} {one}" for one in self._found if not one.held)

    def run(self) -> str:
        return suspend(self.op.session, self._found)


def suspend_where_needed(op: Operation, found: Sequence[BackgroundWriter]) -> Iterator[Step]:
    """The step that holds ``found``; none where nothing is there to hold."""
    if any(not one.held for one in found):
        yield SuspendBackgroundWriters(op, found)


class DrainPoolers(StepOf[Operation]):
    """It does not stop for who is left: a fence disconnects them, and what they commit is counted. So it is said."""

    key, title, phase = "drain-poolers", "See the Poolers paused", Phase.PREPARATION
    done_when = "each PgBouncer was asked; who still has a connection to the server is named"

    def __init__(self, op: Operation, poolers: Sequence[BackgroundWriter]) -> None:
        super().__init__(op)
        self._poolers = poolers

    def detail(self) -> str:
        names = ", ".join(str(one) for one in self._poolers)
        return f"wait up to {_PAUSE_SECONDS} s until no connection to the server is left by {names}"

    def run(self) -> str:
        seen = await_paused(self.op.session, self._poolers, limit=_PAUSE_SECONDS)
        return "; ".join(map(str, seen))


def stop_writers(
    op: Operation, workloads: Sequence[Workload], held: Sequence[BackgroundWriter], *, undo: Sequence[str]
) -> Iterator[Step]:
    """The steps that stop the workloads, and then see whether a Pooler among those ``held`` is paused: the sessions of
    the workloads themselves would keep it from that.
    """
    yield StopWriters(op, workloads, undo=undo)
    if poolers := [one for one in held if one.kind == POOLER]:
        yield DrainPoolers(op, poolers)


class ResumeBackgroundWriters(StepOf[Operation]):
    """``released`` are those that were held; ``serving`` is the Cluster that the traffic is at."""

    key, title, phase = "let-go", "Resume CronJobs, HPAs and Poolers", Phase.TRAFFIC
    done_when = "each is set as it was"

    def __init__(self, op: Operation, released: Collection[BackgroundWriter], *, serving: str) -> None:
        super().__init__(op)
        self._released, self._serving = released, serving

    def detail(self) -> str:
        return f"as before: {', '.join(str(one) for one in self._released)}"

    def run(self) -> str:
        return resume(self.op.session, self._serving)
