"""The step by which every operation keeps Argo CD away."""

from collections.abc import Iterator, Sequence

from dr.core.plan import Phase, Step, StepOf
from dr.gitops.argocd import Manager
from dr.gitops.argocd_pause import pause
from dr.run.operation import Operation


class PauseArgoCd(StepOf[Operation]):
    key, title, phase = "pause-argocd", "Pause Argo CD", Phase.PREPARATION
    done_when = "none of them syncs, and the pause has stayed"

    def __init__(self, op: Operation, managers: Sequence[Manager]) -> None:
        super().__init__(op)
        self._managers = managers

    def detail(self) -> str:
        syncing = ", ".join(str(manager) for manager in self._managers if not manager.paused)
        return f"pause {syncing}, see that it holds"

    def run(self) -> str:
        return pause(self.op.session, self._managers)


def pause_where_needed(op: Operation, managers: Sequence[Manager]) -> Iterator[Step]:
    """The step that pauses ``managers``; none where nothing manages the touched objects or all is paused already."""
    if any(not manager.paused for manager in managers):
        yield PauseArgoCd(op, managers)
