"""What one Cluster has and another has not: at a double of the pods. The scripts are run in test_on_postgresql."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.left_behind import left_behind
from dr.core.errors import AccessError
from dr.core.target import LaterCommits
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import Ran
from tests.support.builders import a_recovered, a_source, as_seen
from tests.support.doubles import RanInPod, in_pods, said

SIZE = 16 * 2**20
SOURCE = a_source()
RECOVERED = replace(as_seen(a_recovered()), primary="postgres-prod-recovered-1")
LINEAGES = {
    "postgres-prod-1": f"1\n{SIZE}\n\n",
    "postgres-prod-recovered-1": f"1\n{SIZE}\n00000002\n1\t0/4000068\twhy\n",
}
COUNTED = LaterCommits(count=2, last=datetime(2026, 4, 27, 10, 0, 0, 500_000, UTC), complete=True)


def _pods(
    monkeypatch: pytest.MonkeyPatch, counted: str = "2|2026-04-27 10:00:00.500000|0\n", **said_by: Ran | AccessError
) -> list[RanInPod]:
    def answer(ran: RanInPod) -> Ran | AccessError:
        if len(ran.command) == 4:
            return said_by.get(ran.pod.replace("-", "_")) or said(LINEAGES[ran.pod])
        return said(counted)

    return in_pods(monkeypatch, answer)


def _left(api: KubernetesApi, left: ClusterSnapshot, other: ClusterSnapshot, **more: int) -> LaterCommits | None:
    return left_behind(api, left, other, [SOURCE, RECOVERED], **more)


def test_it_is_counted_in_the_wal_of_the_one_that_is_left(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """E8: whatever the target was, as the two databases say where they part."""
    ran = _pods(monkeypatch)
    assert _left(api, SOURCE, RECOVERED) == COUNTED
    assert ran[-1].pod == "postgres-prod-1"
    assert ran[-1].command[4:] == [str(SIZE), f"{0x4000068:016X}", "", "1", str(0x4000068), ""]


def test_the_way_back_counts_from_the_first_writer_on(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """E8: what the recovery itself has committed belongs to nobody."""
    ran = _pods(monkeypatch)
    assert _left(api, RECOVERED, SOURCE, first=2**32 + 729) == COUNTED
    assert ran[-1].pod == "postgres-prod-recovered-1"
    assert ran[-1].command[4:] == [str(SIZE), f"{0x4000068:016X}", "729", "2", str(0x4000068), ""]


def test_wal_that_is_gone_makes_it_a_lower_bound(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    _pods(monkeypatch, "0||1\n")
    assert _left(api, SOURCE, RECOVERED) == LaterCommits(count=0, last=None, complete=False)


@pytest.mark.parametrize(
    "fault",
    [
        AccessError("not-found", "there is no pod", "look"),
        said(code=1, errors="no PGDATA"),
        said("nonsense"),
        said(f"3\n{SIZE}\n00000002\n1\t0/4000068\twhy\n"),
    ],
    ids=["gone", "failed", "nonsense", "a timeline without its history"],
)
def test_what_cannot_be_counted_is_unknown(
    api: KubernetesApi, monkeypatch: pytest.MonkeyPatch, fault: Ran | AccessError
) -> None:
    _pods(monkeypatch, postgres_prod_recovered_1=fault)
    assert _left(api, SOURCE, RECOVERED) is None
