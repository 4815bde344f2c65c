"""Sealing the WAL of a source, as it is when it is sealed."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from dr.cli.progress import reporter_for
from dr.core.errors import AccessError, StepFailedError
from dr.core.plan import Plan
from dr.kube.api import KubernetesApi
from dr.recovery.sealing import seal_source
from dr.run.session import Session
from tests.support.builders import NOW, a_holder, a_source, an_environment, cluster_object
from tests.support.doubles import KubernetesDouble, in_pods, serving
from tests.support.fake_environment import CLUSTERS


@pytest.fixture
def wire(own_home: Path) -> Iterator[KubernetesDouble]:
    with serving(KubernetesDouble()) as world:
        yield world


def _seal(api: KubernetesApi) -> None:
    session = Session(environment=an_environment(), api=api, holder=a_holder(), clock=lambda: NOW, stop=Event())
    with reporter_for(Plan(operation="latest", environment="prod", facts={}, steps=()), quiet=True) as reporter:
        seal_source(session, reporter, a_source())


def _there(wire: KubernetesDouble, **changes: Any) -> None:
    raw = cluster_object()
    raw["metadata"] |= changes.get("metadata", {})
    raw["status"] |= changes.get("status", {})
    wire.keep(f"{CLUSTERS}/postgres-prod", raw)


def test_it_is_sealed_on_the_primary_that_there_is_now(
    api: KubernetesApi, wire: KubernetesDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E32: after a failover the pod of the plan is a standby."""
    _there(wire, status={"currentPrimary": "postgres-prod-3"})
    ran = in_pods(monkeypatch, lambda _: AccessError("exec-timeout", "no answer", "look"))
    with pytest.raises(AccessError, match="no answer"):
        _seal(api)
    assert ran[0].pod == "postgres-prod-3"


@pytest.mark.parametrize("there", [True, False])
def test_another_cluster_of_the_name_is_not_sealed(
    api: KubernetesApi, wire: KubernetesDouble, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    """E32."""
    if there:
        _there(wire, metadata={"uid": "another"})
    ran = in_pods(monkeypatch, lambda _: AccessError("exec-timeout", "no answer", "look"))
    with pytest.raises(StepFailedError) as failed:
        _seal(api)
    assert failed.value.code == "source-replaced"
    assert ran == []
