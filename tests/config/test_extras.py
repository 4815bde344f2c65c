"""What is installed only where it is asked for."""

import sys
from pathlib import Path

import pytest
from semver import Version

from dr.config import extras
from dr.config.extras import EXTRAS, INFRASTRUCTURE, POLICY, S3, require
from dr.core.errors import AccessError, DrError, EngineError
from dr.engine.command import Installation
from dr.engine.infrastructure_stack import InfrastructureStack
from tests.support.infra_fixtures import a_durable


@pytest.mark.parametrize("extra", EXTRAS)
def test_nothing_is_said_where_it_is_installed(extra: str) -> None:
    require(extra)


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_is_missing_is_named_with_its_extra(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "distributions", lambda **_: ())
    with pytest.raises(DrError) as missing:
        require(extra)
    assert missing.value.code == "extra-missing"
    assert all(name in missing.value.cause for name in EXTRAS[extra])
    assert f"'postgres-dr[{extra}]'" in missing.value.remedy


def test_what_is_there_is_not_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "distributions", lambda name: () if name == "pulumi-command" else (name,))
    require(POLICY)
    with pytest.raises(EngineError, match="need pulumi-command, which is not installed"):
        require(INFRASTRUCTURE)


def test_a_store_that_cannot_be_read_is_a_failure_of_access(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "distributions", lambda **_: ())
    with pytest.raises(AccessError, match="backups in S3 need boto3, which is not installed"):
        require(S3)


def test_a_stack_of_the_infrastructure_is_refused_before_anything_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "distributions", lambda **_: ())
    with pytest.raises(EngineError) as missing:
        InfrastructureStack(a_durable(), Installation(program=str(tmp_path), version=Version(3, 250, 0)))
    assert missing.value.code == "extra-missing"


def test_looking_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pulumi_policy", raising=False)
    require(POLICY)
    assert "pulumi_policy" not in sys.modules
