"""The program that brings Argo CD, under Pulumi mocks."""

import json
from typing import Any

import pytest

from dr.config.infrastructure import ArgoCd
from dr.config.stack_file import read_section
from dr.core.errors import ConfigError
from dr.stacks.argocd import declare_argocd_stack
from tests.support.pulumi_monitor import Monitor, run_program


def _plan(**changes: Any) -> ArgoCd:
    keys = {
        "holds": "argocd",
        "kubernetes": {"context": "acme-prod"},
        "repository": "https://git.acme.test/platform.git",
        "path": "k8s/argocd/apps",
        **changes,
    }
    document = {"config": {f"postgres-dr:{key}": value for key, value in keys.items()}}
    return read_section(ArgoCd, "argocd", document, where="Pulumi.argocd.yaml")


@pytest.fixture
def monitor() -> Monitor:
    return Monitor.installed("argocd")


def test_the_chart_is_pinned_and_the_root_application_comes_after_it(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_program(monkeypatch, lambda: declare_argocd_stack(_plan(), None))
    chart, root = monitor.inputs("chart"), monitor.inputs("root")
    assert (chart["chart"], chart["version"]) == ("argo-cd", "9.1.0")
    assert chart["repositoryOpts"] == {"repo": "https://argoproj.github.io/argo-helm"}
    assert chart["namespace"] == "argocd"
    assert root["spec"]["source"] == {
        "repoURL": "https://git.acme.test/platform.git",
        "targetRevision": "HEAD",
        "path": "k8s/argocd/apps",
    }
    assert root["spec"]["syncPolicy"]["automated"] == {"prune": True, "selfHeal": True}
    assert any("Release::chart" in urn for urn in monitor.requests["root"].dependencies)
    assert "repository" not in monitor.requests


def test_what_everything_hangs_on_is_protected(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    run_program(monkeypatch, lambda: declare_argocd_stack(_plan(), None))
    for name in ("namespace", "chart", "root"):
        assert monitor.requests[name].protect, name
    for name in ("chart", "root"):
        assert monitor.requests[name].retainOnDelete, name


def test_credentials_are_a_secret_for_pulumi_and_of_the_form_that_argo_cd_wants(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_program(monkeypatch, lambda: declare_argocd_stack(_plan(), {"username": "ann", "password": "hunter2"}))
    inputs = monitor.inputs("repository")
    assert inputs["metadata"]["labels"] == {"argocd.argoproj.io/secret-type": "repository"}
    # Pulumi's own signature for a secret: the engine keeps such a value only encrypted.
    assert inputs["stringData"] == {
        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
        "value": {
            "type": "git",
            "url": "https://git.acme.test/platform.git",
            "username": "ann",
            "password": "hunter2",
        },
    }
    others = [str(request.object) for name, request in monitor.requests.items() if name != "repository"]
    assert not any("hunter2" in text for text in others)
    assert any("::repository" in urn for urn in monitor.requests["root"].dependencies)


def test_a_chart_of_a_folder_has_no_repository(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _plan(chart={"repository": "", "name": "/charts/argo-cd", "version": "1.0.0"})
    run_program(monkeypatch, lambda: declare_argocd_stack(plan, None))
    assert monitor.inputs("chart")["chart"] == "/charts/argo-cd"
    assert "repositoryOpts" not in monitor.inputs("chart")


@pytest.mark.parametrize("credentials", [{}, {"file": "/a", "secret": "projects/p/secrets/s/versions/1"}])
def test_credentials_lie_in_one_place(credentials: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as refused:
        _plan(credentials=credentials)
    assert "file or secret" in json.dumps(refused.value.remedy) or "file or secret" in refused.value.cause
