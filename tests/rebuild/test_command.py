"""``dr full-rebuild``, in this process, as far as it comes without Google."""

import json
from pathlib import Path
from typing import Any

import pytest

from dr.core.errors import RefusedError
from dr.main import run
from dr.rebuild import setup
from dr.rebuild.plan import RebuildSituation
from tests.support.doubles import Wire
from tests.support.rebuilds import a_rebuild_situation


class RebuildSetup:
    """A site that was looked at; nothing can be done with it."""

    def __init__(self, situation: RebuildSituation) -> None:
        self._situation = situation

    def look(self) -> RebuildSituation:
        return self._situation


def _site(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[Any]:
    asked: list[Any] = []

    def open_setup(environment: Any, folder: Path, request: Any, *, take_over: bool) -> RebuildSetup:
        asked.append(request)
        return RebuildSetup(a_rebuild_situation(**changes))

    monkeypatch.setattr(setup, "open_setup", open_setup)
    return asked


def _rebuild(folder: Path, *more: str) -> int:
    return run(["full-rebuild", "--config-dir", str(folder), "--env", "prod", *more])


def test_a_dry_run_tells_what_would_be_made_and_how_long_it_takes(
    place: Path, wire: Wire, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = _site(monkeypatch)
    assert _rebuild(place, "--dry-run") == 0
    told = capsys.readouterr().out
    assert "Plan: full-rebuild on prod" in told
    assert "Nothing was changed" in told or "nothing was changed" in told
    assert (asked[0].region, asked[0].zone, asked[0].durable) == ("", "", "")


def test_where_to_build_is_passed_on(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = _site(monkeypatch)
    words = ("--region", "europe-west1", "--zone", "europe-west1-b", "--durable", "durable-eu")
    assert _rebuild(place, "--dry-run", "--json", *words) == 0
    assert json.loads(capsys.readouterr().out)["dryRun"] is True
    assert (asked[0].region, asked[0].zone, asked[0].durable) == ("europe-west1", "europe-west1-b", "durable-eu")


def test_without_backups_it_stops_and_says_what_is_lost(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _site(monkeypatch, usable_archives=(), loss="nothing is left")
    assert _rebuild(place, "--dry-run", "--json") == RefusedError.exit_code
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["code"], problem["cause"]) == ("nothing-to-restore", "nothing is left")


def test_a_yes_wants_the_name_whatever_the_environment_says(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _site(monkeypatch)
    assert _rebuild(place, "--yes", "--json") == 2
    assert json.loads(capsys.readouterr().out)["problems"][0]["code"] == "confirmation-impossible"
    assert _rebuild(place, "--yes", "--confirm", "postgres-dev", "--json") == 2


def test_an_environment_without_infrastructure_is_told_what_to_write(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _rebuild(place, "--dry-run", "--json") == 3
    assert json.loads(capsys.readouterr().out)["problems"][0]["code"] == "infrastructure-not-configured"
