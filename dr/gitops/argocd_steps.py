"""What plans say of Argo CD: the step that keeps it away, and what to know where it cannot be kept away from here."""

from collections.abc import Collection, Iterator

from dr.core.plan import Step
from dr.gitops.argocd import Manager
from dr.kube.objects import Workload


def pause_step(managers: Collection[Manager]) -> Iterator[Step]:
    """The step that pauses ``managers``; none where nothing manages the touched objects or all is paused already."""
    if any(not manager.paused for manager in managers):
        yield Step(
            key="pause-argocd",
            done_when="none of them syncs, and the pause has stayed",
            title="Keep Argo CD away",
            detail=f"pause {', '.join(str(manager) for manager in managers if not manager.paused)}, see that it holds",
        )


def argocd_warnings(workloads: Collection[Workload | None], managers: Collection[Manager]) -> Iterator[str]:
    """A word where objects bear Argo CD's mark and no Application here has them: it runs in another cluster."""
    marked = sorted(workload.name for workload in workloads if workload and workload.argo_managed)
    if marked and not managers:
        yield (
            f"An Argo CD that is not in this cluster manages {', '.join(marked)} and may put them back at once: "
            "pause its automated sync there first."
        )
