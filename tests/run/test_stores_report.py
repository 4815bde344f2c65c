"""Drills in the cluster: kept, the oldest forgotten, and not lost when two are kept at once."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from dr.run import stores as report_store
from dr.run.stores import KEPT, ReportStore
from tests.support.builders import NOW
from tests.support.doubles import KubernetesDouble, kube_status, serving
from tests.support.reports import a_report

PATH = "/api/v1/namespaces/data/configmaps/postgres-dr-prod-drills"


@pytest.fixture
def wire() -> Iterator[KubernetesDouble]:
    with serving(KubernetesDouble()) as wire:
        yield wire


@pytest.fixture
def store(api: KubernetesApi) -> ReportStore:
    return ReportStore(api, "data", "prod")


def test_nothing_was_kept_at_first(store: ReportStore) -> None:
    assert store.read_all() == []


def test_what_is_kept_reads_back_oldest_first(store: ReportStore) -> None:
    later, earlier = a_report(), a_report(NOW - timedelta(days=7))
    for report in (later, earlier):
        store.keep(report)
    assert store.read_all() == [earlier, later]


def test_the_oldest_are_forgotten(store: ReportStore) -> None:
    reports = [a_report(NOW + timedelta(days=day)) for day in range(KEPT + 2)]
    for report in reports:
        store.keep(report)
    assert store.read_all() == reports[2:]


def test_what_does_not_fit_into_one_object_is_forgotten(store: ReportStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_store, "_BYTES", 10)
    store.keep(a_report(NOW - timedelta(days=7)))
    store.keep(a_report())
    assert store.read_all() == [a_report()]


def test_one_that_was_kept_meanwhile_is_not_lost(store: ReportStore, wire: KubernetesDouble) -> None:
    first, other, mine = (a_report(NOW + timedelta(days=day)) for day in range(3))
    store.keep(first)

    def meanwhile() -> None:
        kept = wire.objects[PATH]
        wire.keep(PATH, {**kept, "data": {**kept["data"], other.id: other.model_dump_json(by_alias=True)}})

    wire.meanwhile.append(meanwhile)
    store.keep(mine)
    assert store.read_all() == [first, other, mine]


def test_one_of_another_version_hides_no_other(store: ReportStore, wire: KubernetesDouble) -> None:
    store.keep(a_report())
    wire.objects[PATH]["data"]["20990101T000000.000000Z-drill"] = '{"schemaVersion": 2}'
    assert store.read_all() == [a_report()]


def test_a_user_who_may_not_keep_it_is_told(store: ReportStore, wire: KubernetesDouble) -> None:
    wire.on("/api/v1/namespaces/data/configmaps", kube_status(403, "no"), status=403, method="POST")
    with pytest.raises(AccessError) as failed:
        store.keep(a_report())
    assert failed.value.code == "forbidden"
