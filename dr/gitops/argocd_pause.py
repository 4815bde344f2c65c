"""Keeping Argo CD from undoing an operation, and giving back to it what it manages."""

from collections.abc import Collection, Iterable, Sequence

from dr.config.environment import Environment
from dr.core.errors import StepFailedError
from dr.gitops import argocd_api
from dr.gitops.argocd import Manager, managers_of
from dr.kube.objects import ObjectKey
from dr.run.session import Session
from dr.traffic.writer_model import BackgroundWriter

_HOLD_SECONDS = 2
"""How long a pause is watched. selfHeal answers within half a second, a parent's within one (measured)."""
_SYNC_SECONDS = 180


def touched_by(environment: Environment, clusters: Iterable[str]) -> list[ObjectKey]:
    """The objects that operations on ``environment`` change, besides what starts automatically."""
    workloads, namespace = environment.workloads, environment.namespace
    return [
        *(ObjectKey("apps", "Deployment", workloads.namespace, name) for name in workloads.deployments),
        ObjectKey("", "Service", namespace, environment.service),
        *(ObjectKey("postgresql.cnpg.io", "Cluster", namespace, name) for name in clusters),
    ]


def managers(
    session: Session, *, clusters: Iterable[str], background_writers: Iterable[BackgroundWriter] = ()
) -> tuple[Manager, ...]:
    """What of Argo CD manages the touched objects, outermost first; nothing without Argo CD. Raises AccessError."""
    touched = [*touched_by(session.environment, clusters), *(one.key for one in background_writers)]
    return managers_of(touched, argocd_api.list_managers(session.api))


def pause(session: Session, found: Sequence[Manager]) -> str:
    """Pause ``found``, owners first, and see that it holds. What was set before is remembered first.

    Raises StepFailedError ``pause-did-not-hold`` or ``sync-does-not-end``.
    """
    session.records.change(
        lambda record: record.with_paused({str(manager): manager.setting for manager in found if not manager.paused}),
        now=session.clock(),
    )
    can_disable = argocd_api.can_disable(session.api)
    for manager in found:
        if not manager.paused:
            argocd_api.patch(session.api, manager, manager.pause(can_disable=can_disable))
    argocd_api.await_quiet(session.api, found, hold=_HOLD_SECONDS, limit=_SYNC_SECONDS, stop=session.stop)
    return f"{', '.join(str(manager) for manager in found)} paused"


def release(session: Session) -> str:
    """Put the remembered settings back, the innermost first, when Git agrees with the cluster.

    Where it does not, everything stays paused, and the differences are shown: Argo CD would undo them at once.
    """
    paused = _paused(session)
    if not paused:
        return "nothing is paused"
    if differs := _differences(session, paused):
        return f"stays paused: Git still has another {', '.join(differs)}"
    return _put_back(session, paused)


def hand_back(session: Session, found: Sequence[Manager], expected: Collection[str]) -> str:
    """As :func:`release`, for when Git has been changed: then see ``found`` in sync and healthy.

    ``expected`` are the differences that are to be settled by that. Raises StepFailedError ``git-disagrees`` or
    ``argocd-not-at-rest``.
    """
    paused = _paused(session)
    if differs := sorted(set(_differences(session, paused)) - set(expected)):
        raise StepFailedError(
            "git-disagrees",
            f"Git and the cluster do not agree: {', '.join(differs)}; Argo CD stays paused",
            "make them agree, in Git or in the cluster, and repeat the command",
        )
    said = _put_back(session, paused) if paused else "nothing was paused"
    argocd_api.await_at_rest(session.api, found, limit=_SYNC_SECONDS, stop=session.stop)
    return f"{said}; in sync and healthy"


def _paused(session: Session) -> list[Manager]:
    """What is remembered as paused and is still there, outermost first."""
    record = session.records.read()
    if record is None or not record.paused:
        return []
    present = {str(manager): manager for manager in argocd_api.list_managers(session.api)}
    return [present[name] for name in record.paused if name in present]


def _differences(session: Session, paused: Sequence[Manager]) -> list[str]:
    """What of ``paused`` differs from Git, but for the pause itself: a parent sees that of its children."""
    ours = {str(manager) for manager in paused}
    compared = [now for manager in paused if (now := argocd_api.compare(session.api, manager, stop=session.stop))]
    return sorted({resource for now in compared for resource in now.out_of_sync} - ours)


def _put_back(session: Session, paused: Sequence[Manager]) -> str:
    record = session.records.read()
    settings = record.paused if record else {}
    for manager in reversed(paused):
        argocd_api.patch(session.api, manager, manager.release(settings[str(manager)]))
    session.records.change(lambda record: record.released(), now=session.clock())
    return f"{', '.join(str(manager) for manager in paused)} as before"
