"""Waiting for a Cluster that recovers, where nothing comes."""

from dataclasses import replace

import pytest

from dr.cnpg.progress import Observation, PodSeen, RecoveryProgress
from dr.cnpg.recovery_watch import RecoveryWatch
from dr.core.errors import RecoveryError
from dr.core.plan import Step
from dr.kube.api import KubernetesApi
from dr.recovery import wait
from dr.recovery.wait import RecoveryWait
from dr.run.session import Session
from tests.support.builders import a_holder, a_source, an_environment

SETTING_UP = replace(a_source(), ready=False, phase="Setting up primary")
POD = PodSeen(name="new-1-full-recovery-x", recovery=True, phase="Pending", waiting_for="")


class _Watch(RecoveryWatch):
    """What is seen, once."""

    def __init__(self, *seen: Observation) -> None:
        self._left = list(seen)

    def next(self, seconds: float) -> Observation | None:
        return self._left.pop(0) if self._left else None


class _Reporter:
    def step_started(self, step: Step) -> None: ...

    def step_done(self, step: Step, fact: str, seconds: float) -> None: ...

    def recovery(self, progress: RecoveryProgress, *, elapsed: float, limit: float) -> None: ...

    def progress(self, said: str) -> None: ...


def _timed_out(api: KubernetesApi, *seen: Observation) -> str:
    session = Session(environment=an_environment(), api=api, holder=a_holder())
    waiting = RecoveryWait(session, _Reporter(), _Watch(*seen), what="the Cluster new", at_limit="look")
    with pytest.raises(RecoveryError) as failed:
        waiting.until_healthy(0)
    return failed.value.cause


def test_a_cluster_of_which_nothing_comes_is_told_with_where_the_operator_says_why(
    api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E34."""
    monkeypatch.setattr(wait, "_NOTHING_SECONDS", -1)
    told = _timed_out(api, SETTING_UP)
    assert "nothing was created for it" in told
    assert "-n cnpg-system logs -l app.kubernetes.io/name=cloudnative-pg" in told
    assert "nothing was created" not in _timed_out(api, SETTING_UP, POD)
