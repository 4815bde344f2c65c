"""Rebuilds as the tests need them."""

from dataclasses import replace
from typing import Any

from dr.archive.usable_archives import UsableArchive, usable_archives
from dr.rebuild.plan import RebuildDecision, RebuildRequest, RebuildSituation, decide_rebuild
from tests.support.archives import archive, backup, wal
from tests.support.builders import an_environment


def a_survivor(server_name: str = "postgres-prod") -> UsableArchive:
    """An archive that can be recovered from."""
    (found,) = usable_archives((replace(archive(backup(3), files=wal(range(3, 10))), server_name=server_name),))
    return found


def a_rebuild_situation(**changes: Any) -> RebuildSituation:
    """The cluster is gone, the bucket is there."""
    plain = RebuildSituation(
        cluster="does not answer",
        cluster_answers=False,
        usable_archives=(a_survivor(),),
        loss="",
        durable="nothing to do",
        platform="creates 9",
        argocd="creates 3",
    )
    return replace(plain, **changes)


def a_rebuild(**changes: Any) -> RebuildDecision:
    """A rebuild of prod that can begin."""
    return decide_rebuild(an_environment(), RebuildRequest(), a_rebuild_situation(**changes))
