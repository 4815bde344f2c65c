"""What is installed only where it is asked for."""

import sys
from pathlib import Path

import pytest
from semver import Version

from dr.core.errors import EngineError
from dr.engine import extras
from dr.engine.command import Installation
from dr.engine.extras import EXTRAS, INFRASTRUCTURE, POLICY, require
from dr.engine.infrastructure_stack import InfrastructureStack
from tests.support.infra_fixtures import a_durable


@pytest.mark.parametrize("extra", EXTRAS)
def test_nothing_is_said_where_it_is_installed(extra: str) -> None:
    require(extra)


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_is_missing_is_named_with_its_extra(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(EngineError) as missing:
        require(extra)
    assert missing.value.code == "extra-missing"
    assert all(name in missing.value.cause for name in EXTRAS[extra])
    assert f"'postgres-dr[{extra}]'" in missing.value.remedy


def test_what_is_there_is_not_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "pulumi_command" else object())
    require(POLICY)
    with pytest.raises(EngineError, match="need pulumi-command, which is not installed"):
        require(INFRASTRUCTURE)


def test_a_stack_of_the_infrastructure_is_refused_before_anything_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(EngineError) as missing:
        InfrastructureStack(a_durable(), Installation(program=str(tmp_path), version=Version(3, 250, 0)))
    assert missing.value.code == "extra-missing"


def test_looking_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pulumi_policy", raising=False)
    require(POLICY)
    assert "pulumi_policy" not in sys.modules
