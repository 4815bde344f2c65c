"""One operator at a time: who gets the lease, who is refused, and how it is lost."""

import os
import socket
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from threading import Event

import pytest

from dr.core.errors import DrError, RefusedError
from dr.kube.api import KubernetesApi
from dr.run import lease
from dr.run.lease import DURATION, held
from dr.run.stores import LeaseStore
from tests.support.builders import NOW, a_holder, lease_object
from tests.support.doubles import Impatient, KubernetesDouble, a_dead_process, kube_status, serving
from tests.support.waiting import HANG_SECONDS, wait_for

LEASE = "/apis/coordination.k8s.io/v1/namespaces/data/leases/postgres-dr-prod"
ME, BOB = a_holder(), "bob@ops-2:8"
LONG_AGO = NOW - timedelta(hours=1)


@pytest.fixture
def wire() -> Iterator[KubernetesDouble]:
    with serving(KubernetesDouble()) as wire:
        yield wire


class _Operator:
    """ann, who wants the lease."""

    def __init__(self, api: KubernetesApi, wire: KubernetesDouble) -> None:
        self._store = LeaseStore(api, "data", "prod")
        self._wire = wire

    def work(
        self,
        doing: Callable[[], None] = lambda: None,
        *,
        take_over: bool = False,
        stop: Event | None = None,
    ) -> None:
        with held(self._store, ME, take_over=take_over, clock=lambda: NOW, stop=stop or Impatient()):
            assert self.holder == str(ME)
            doing()

    def refused(self, *, take_over: bool = False, stop: Event | None = None) -> str:
        with pytest.raises(RefusedError) as refused:
            self.work(take_over=take_over, stop=stop)
        (problem,) = refused.value.problems
        assert BOB in problem.cause
        return problem.code

    @property
    def holder(self) -> str:
        return str(self._wire.objects[LEASE]["spec"]["holderIdentity"])


@pytest.fixture
def ann(api: KubernetesApi, wire: KubernetesDouble) -> _Operator:
    return _Operator(api, wire)


def _writing(wire: KubernetesDouble, holder: str, renewed: datetime = NOW) -> Callable[..., None]:
    def write(*_: object) -> None:
        wire.keep(LEASE, lease_object(holder, renewed))

    return write


def test_the_first_operation_makes_the_lease_and_gives_it_back(ann: _Operator, wire: KubernetesDouble) -> None:
    ann.work()
    assert ann.holder == ""
    assert len(wire.received("POST")) == 1


def test_a_lease_that_was_given_back_is_taken(ann: _Operator, wire: KubernetesDouble) -> None:
    wire.keep(LEASE, lease_object(""))
    ann.work()
    assert ann.holder == ""


def test_the_lease_is_given_back_when_the_work_fails(ann: _Operator) -> None:
    def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        ann.work(fail)
    assert ann.holder == ""


def test_an_api_server_that_is_gone_at_the_end_does_not_hide_why_the_work_failed(
    ann: _Operator, wire: KubernetesDouble
) -> None:
    def fail() -> None:
        wire.on(LEASE, kube_status(500, "etcd is gone"), status=500)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        ann.work(fail)


def test_an_operator_at_work_is_not_disturbed(ann: _Operator, wire: KubernetesDouble) -> None:
    wire.keep(LEASE, lease_object(BOB))
    assert ann.refused() == "another-operator"
    assert ann.holder == BOB
    assert {asked.method for asked in wire.asked} == {"GET"}


def test_an_operator_who_is_not_heard_of_is_left_to_a_person_to_judge(ann: _Operator, wire: KubernetesDouble) -> None:
    wire.keep(LEASE, lease_object(BOB, LONG_AGO))
    assert ann.refused() == "lease-stale"
    assert ann.holder == BOB


def test_a_dead_process_of_this_machine_is_taken_over_by_itself(ann: _Operator, wire: KubernetesDouble) -> None:
    wire.keep(LEASE, lease_object(str(a_holder(pid=a_dead_process(), host=socket.gethostname()))))
    stop = Impatient()
    ann.work(stop=stop)
    assert stop.waited == []


def test_a_process_of_this_machine_that_runs_is_not_taken_over(ann: _Operator, wire: KubernetesDouble) -> None:
    alive = str(a_holder(pid=os.getpid(), host=socket.gethostname()))
    wire.keep(LEASE, lease_object(alive, LONG_AGO))
    with pytest.raises(RefusedError) as refused:
        ann.work()
    assert refused.value.problems[0].code == "lease-stale"
    assert ann.holder == alive


@pytest.mark.parametrize("renewed", [NOW, LONG_AGO], ids=["just now", "long ago"])
def test_a_deliberate_take_over_watches_for_the_leases_duration_first(
    ann: _Operator, wire: KubernetesDouble, renewed: datetime
) -> None:
    wire.keep(LEASE, lease_object(BOB, renewed, seconds=15))
    holders: list[str] = []
    stop = Impatient(lambda _: holders.append(ann.holder))
    ann.work(take_over=True, stop=stop)
    assert (stop.waited, holders) == ([15], [BOB])


def test_a_holder_who_renews_is_alive_whatever_the_clocks_say(ann: _Operator, wire: KubernetesDouble) -> None:
    # GIVEN a holder whose clock is an hour behind
    wire.keep(LEASE, lease_object(BOB, LONG_AGO))

    # WHEN somebody who believes them dead watches them renew
    ann.refused(take_over=True, stop=Impatient(_writing(wire, BOB, LONG_AGO + timedelta(seconds=5))))
    # THEN they are left alone
    assert ann.holder == BOB


def test_a_holder_who_ends_while_watched_leaves_the_lease(ann: _Operator, wire: KubernetesDouble) -> None:
    wire.keep(LEASE, lease_object(BOB, LONG_AGO))
    ann.work(take_over=True, stop=Impatient(_writing(wire, "")))
    assert ann.holder == ""


@pytest.mark.parametrize("before", [None, ""], ids=["no lease yet", "a free lease"])
def test_a_race_that_is_lost_is_refused(ann: _Operator, wire: KubernetesDouble, before: str | None) -> None:
    if before is not None:
        wire.keep(LEASE, lease_object(before))
    wire.meanwhile.append(_writing(wire, BOB))
    assert ann.refused() == "another-operator"
    assert ann.holder == BOB


def test_a_race_over_a_dead_holder_that_is_lost_is_refused_even_with_take_over(
    ann: _Operator, wire: KubernetesDouble
) -> None:
    wire.keep(LEASE, lease_object("carl@ops-3:9", LONG_AGO))
    wire.meanwhile.append(_writing(wire, BOB))
    assert ann.refused(take_over=True) == "another-operator"
    assert ann.holder == BOB


def test_the_lease_is_renewed_while_the_work_goes_on(
    api: KubernetesApi, wire: KubernetesDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_RENEW_SECONDS", 0.01)
    ticks = iter(NOW + timedelta(seconds=second) for second in range(10_000))
    with held(LeaseStore(api, "data", "prod"), ME, take_over=False, clock=lambda: next(ticks), stop=Event()):
        first = wire.objects[LEASE]["spec"]
        wait_for(lambda: bool(wire.objects[LEASE]["spec"]["renewTime"] > first["renewTime"]))
        spec = wire.objects[LEASE]["spec"]
    assert spec["holderIdentity"] == str(ME)
    assert spec["leaseDurationSeconds"] == DURATION.total_seconds()


def test_the_lease_is_renewed_well_before_it_expires() -> None:
    assert DURATION.total_seconds() > lease._RENEW_SECONDS * 2


def test_losing_the_lease_stops_the_work_and_leaves_the_new_holder_alone(
    ann: _Operator, wire: KubernetesDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_RENEW_SECONDS", 0.01)
    stop = Event()

    def lose() -> None:
        wire.keep(LEASE, lease_object(BOB))
        assert stop.wait(HANG_SECONDS)

    ann.work(lose, stop=stop)
    assert ann.holder == BOB


def test_a_lease_that_was_deleted_is_lost(
    ann: _Operator, wire: KubernetesDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_RENEW_SECONDS", 0.01)
    stop = Event()

    def lose() -> None:
        del wire.objects[LEASE]
        assert stop.wait(HANG_SECONDS)

    ann.work(lose, stop=stop)
    assert LEASE not in wire.objects


def test_an_api_server_that_is_away_for_a_moment_is_no_loss(
    ann: _Operator, wire: KubernetesDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_RENEW_SECONDS", 0.01)
    stop = Event()

    def away() -> None:
        asked = len(wire.asked)
        wire.on(LEASE, kube_status(500, "etcd restarts"), status=500)
        wait_for(lambda: len(wire.asked) > asked + 2)
        del wire.answers["GET", LEASE]
        renewals = len(wire.received("PUT"))
        wait_for(lambda: len(wire.received("PUT")) > renewals)

    ann.work(away, stop=stop)
    assert not stop.is_set()
    assert ann.holder == ""


def test_a_take_over_that_is_interrupted_takes_nothing(ann: _Operator, wire: KubernetesDouble) -> None:
    # GIVEN a holder who is alive, and Ctrl-C before they could renew
    wire.keep(LEASE, lease_object(BOB))
    stop = Event()
    stop.set()
    with pytest.raises(DrError):
        ann.work(take_over=True, stop=stop)
    assert ann.holder == BOB


def test_renewing_does_not_change_since_when_the_lease_is_held(
    api: KubernetesApi, wire: KubernetesDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_RENEW_SECONDS", 0.01)
    ticks = iter(NOW + timedelta(seconds=second) for second in range(10_000))
    with held(LeaseStore(api, "data", "prod"), ME, take_over=False, clock=lambda: next(ticks), stop=Event()):
        first = wire.objects[LEASE]["spec"]
        wait_for(lambda: bool(wire.objects[LEASE]["spec"]["renewTime"] > first["renewTime"]))
        assert wire.objects[LEASE]["spec"]["acquireTime"] == first["acquireTime"]
