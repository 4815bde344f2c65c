"""Where SQL is asked: the primary that CloudNativePG names, and which of its databases."""

from dataclasses import replace

import pytest

from dr.cnpg.primary import SERVER, primary_of, programs_of, psql_of
from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import PodExec, Ran
from tests.support.builders import a_source


@pytest.mark.parametrize(
    ("database", "asked"), [(None, a_source().database), (SERVER, "postgres"), ("second", "second")]
)
def test_the_applications_database_is_asked_where_none_is_named(
    api: KubernetesApi, monkeypatch: pytest.MonkeyPatch, database: str | None, asked: str
) -> None:
    commands: list[list[str]] = []

    def run(_: PodExec, command: list[str], **__: object) -> Ran:
        commands.append(command)
        return Ran(code=0, output="1\n", errors="")

    monkeypatch.setattr(PodExec, "run", run)
    assert psql_of(api, a_source(), database).ask("SELECT 1") == ["1"]
    assert commands[0][commands[0].index("-d") + 1] == asked


@pytest.mark.parametrize("opened", [psql_of, programs_of, primary_of])
def test_no_pod_is_guessed_where_there_is_no_primary(api: KubernetesApi, opened: object) -> None:
    """`primary or f"{name}-1"`: a standby would have been asked, or nobody."""
    assert callable(opened)
    with pytest.raises(AccessError) as refused:
        opened(api, replace(a_source(), primary=None))
    assert refused.value.code == "no-primary"
