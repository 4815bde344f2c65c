"""The program behind ``pulumi up``, under Pulumi's mocks: which stack it declares, and from where it is run."""

import json
import runpy
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pulumi
import pytest

from dr.config import extras
from dr.program.declare import declare
from dr.stacks.declaration import Declaration
from tests.support.builders import a_recovered, config_document
from tests.support.infra_fixtures import durable_document
from tests.support.pulumi_monitor import Monitor, run_program

CLUSTER = "kubernetes:postgresql.cnpg.io/v1:Cluster"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def monitor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Monitor]:
    def declared(environment: Any, *, preview: bool, announce: object) -> Declaration:
        assert (environment.name, preview) == ("prod", False)
        return Declaration(clusters=(a_recovered(),))

    monkeypatch.setattr("dr.program.declare.declared", declared)
    yield Monitor.installed("prod")
    pulumi.runtime.set_all_config({})


def _given(document: dict[str, Any]) -> None:
    """Hand over a stack's configuration as Pulumi does: text as it is, everything else as JSON."""
    pulumi.runtime.set_all_config(
        {key: value if isinstance(value, str) else json.dumps(value) for key, value in document["config"].items()}
    )


def test_an_environments_stack_holds_what_its_record_says(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    _given(config_document())
    exported = run_program(monkeypatch, declare)
    assert monitor.of_type(CLUSTER) == ["postgres-prod-recovered"]
    assert exported


def test_a_stack_of_the_infrastructure_holds_what_its_file_says(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    _given(durable_document())
    run_program(monkeypatch, declare)
    assert monitor.of_type("gcp:storage/bucket:Bucket")
    assert not monitor.of_type(CLUSTER)


def test_without_the_extra_only_the_infrastructure_is_refused(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "distributions", lambda **_: ())
    _given(durable_document())
    with pytest.raises(pulumi.RunError, match=r"(?s)extra-missing: .*'postgres-dr\[infrastructure\]'"):
        declare()
    _given(config_document())
    run_program(monkeypatch, declare)
    assert monitor.of_type(CLUSTER) == ["postgres-prod-recovered"]


def test_a_wrong_configuration_is_said_in_its_own_words(monitor: Monitor) -> None:
    _given(config_document(service=None))
    with pytest.raises(pulumi.RunError, match="config-missing-key"):
        declare()


def test_the_installed_project_runs_as_pulumi_runs_one(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    _given(config_document())

    def program() -> None:
        with as_file(files("dr.program")) as project:
            runpy.run_path(str(project), run_name="__main__")

    run_program(monkeypatch, program)
    assert monitor.of_type(CLUSTER) == ["postgres-prod-recovered"]
