"""The environment, read from the running stack's configuration."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks

from dr.config.load import load_environment
from dr.config.stack_file import read_section
from dr.core.errors import ConfigError
from dr.stacks.settings import environment_of_stack, infrastructure_of_stack
from tests.support.builders import an_environment, config_document
from tests.support.infra_fixtures import durable_document, platform_document

ROOT = Path(__file__).resolve().parents[2]


class _Mocks(Mocks):
    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        raise AssertionError("reading the settings makes no resource")

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError("reading the settings calls nothing")


@pytest.fixture(autouse=True)
def _prod() -> Iterator[None]:
    pulumi.runtime.set_mocks(_Mocks(), project="postgres-dr", stack="prod", preview=False)
    yield
    pulumi.runtime.set_all_config({})


def _given(document: dict[str, Any]) -> None:
    """Hand over a stack's configuration as Pulumi does: text as it is, everything else as JSON."""
    pulumi.runtime.set_all_config(
        {key: value if isinstance(value, str) else json.dumps(value) for key, value in document["config"].items()}
    )


def test_it_is_the_one_that_the_file_describes() -> None:
    _given(config_document())
    assert environment_of_stack() == an_environment()


def test_the_repositorys_file_reads_the_same_both_ways() -> None:
    _given(yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text()))
    assert environment_of_stack() == load_environment("prod", ROOT)


@pytest.mark.parametrize(
    "document",
    [
        platform_document(operatorCredentials=False),
        durable_document(),
        {
            "config": {
                **yaml.safe_load((ROOT / "Pulumi.argocd.yaml").read_text())["config"],
                "postgres-dr:timeoutMinutes": 7.5,
            }
        },
    ],
    ids=["platform", "durable", "argocd"],
)
def test_a_stack_of_the_infrastructure_reads_the_same_both_ways(document: dict[str, Any]) -> None:
    _given(document)
    found = infrastructure_of_stack()
    assert found == read_section(type(found), "prod", document, where="the file")  # type: ignore[type-var]


def test_what_only_looks_like_a_number_stays_text() -> None:
    _given(config_document(gcpProject="acme-007"))
    assert environment_of_stack().gcp_project == "acme-007"
    _given(config_document(namespace="007"))
    assert environment_of_stack().namespace == "007"


def test_optional_keys_may_be_left_out() -> None:
    _given(config_document(timeouts=None, smokeTestUrl=None))
    assert environment_of_stack() == an_environment(timeouts=None, smokeTestUrl=None)


def test_an_unknown_key_is_refused_here_too() -> None:
    _given(config_document(sourceClutser="x"))
    with pytest.raises(ConfigError, match="sourceClutser"):
        environment_of_stack()


def test_a_missing_key_is_told_with_the_stack() -> None:
    _given(config_document(service=None))
    with pytest.raises(ConfigError, match=r"stack prod: postgres-dr:service is missing"):
        environment_of_stack()


def test_other_projects_keys_are_none_of_our_business() -> None:
    document = config_document()
    document["config"]["gcp:project"] = "x"
    _given(document)
    assert environment_of_stack().name == "prod"
