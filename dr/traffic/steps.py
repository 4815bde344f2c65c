"""The steps by which every operation stops the writers, and what would start them again."""

from collections.abc import Collection, Iterator, Sequence

from dr.core.plan import Phase, Step, StepOf
from dr.kube import workloads
from dr.kube.objects import Workload
from dr.run.operation import Operation
from dr.traffic.writer_model import WORDS, BackgroundWriter
from dr.traffic.writers import STOP_SECONDS, resume, suspend


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
