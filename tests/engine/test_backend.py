"""Where the state is, whether it can be opened, and who else holds it."""

import json
import os
import socket
from pathlib import Path

import pytest

from dr.core.errors import EngineError
from dr.engine.backend import Backend, state_folder
from tests.support.builders import an_environment
from tests.support.doubles import a_dead_process

ENVIRONMENT = an_environment()
LOCKS = ".pulumi/locks/organization/postgres-dr/prod"


def _backend(tmp_path: Path) -> Backend:
    return Backend(url=f"file://{tmp_path}", stack="prod")


def test_by_default_the_state_is_in_the_users_own_folder(own_home: Path) -> None:
    assert Backend.of(ENVIRONMENT).folder == own_home / "state" / "pulumi"


def test_without_the_variable_the_folder_is_below_home(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DR_STATE_DIR")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert state_folder().is_relative_to(own_home)


def test_a_configured_folder_counts_and_its_tilde_is_home(own_home: Path) -> None:
    environment = an_environment(stateBackend="file://~/pulumi")
    assert Backend.of(environment).url == f"file://{own_home}/pulumi"


def test_a_bucket_has_no_folder_and_no_lock_that_is_seen_here() -> None:
    backend = Backend.of(an_environment(stateBackend="gs://state-of-acme/dr"))
    assert (backend.url, backend.folder) == ("gs://state-of-acme/dr", None)
    backend.check_unlocked()


def test_a_missing_passphrase_is_told_with_the_variables(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as refused:
        _backend(tmp_path).check_passphrase({"HOME": "/"})
    assert refused.value.code == "passphrase-missing"
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" in refused.value.remedy


def test_an_empty_passphrase_or_a_file_will_do(tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text("")
    _backend(tmp_path).check_passphrase({"PULUMI_CONFIG_PASSPHRASE": ""})
    _backend(tmp_path).check_passphrase({"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "phrase")})


def test_a_passphrase_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    """O4."""
    with pytest.raises(EngineError) as failed:
        _backend(tmp_path).check_passphrase({"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "phrase")})
    assert failed.value.code == "passphrase-missing"
    assert "phrase" in failed.value.cause


def test_a_key_service_needs_no_passphrase() -> None:
    environment = an_environment(secretsProvider="gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k")
    Backend.of(environment).check_passphrase({})


def test_a_lock_is_told_with_who_holds_it_and_what_a_cancel_does(tmp_path: Path) -> None:
    # GIVEN a lock as Pulumi's file backend writes it
    folder = tmp_path / LOCKS
    folder.mkdir(parents=True)
    lock = {"pid": 4711, "username": "ann", "hostname": "ops-1", "timestamp": "2026-04-27T09:00:00Z"}
    (folder / "0b1f.json").write_text(json.dumps(lock))
    # WHEN
    with pytest.raises(EngineError) as refused:
        _backend(tmp_path).check_unlocked()
    # THEN
    assert refused.value.code == "state-locked"
    assert "process 4711 of ann on ops-1 since 2026-04-27T09:00:00Z" in refused.value.cause
    assert "pulumi cancel --yes --stack organization/postgres-dr/prod" in refused.value.remedy


def _lock(tmp_path: Path, *, host: str, pid: int) -> Path:
    folder = tmp_path / LOCKS
    folder.mkdir(parents=True)
    lock = {"pid": pid, "username": "ann", "hostname": host, "timestamp": "2026-04-27T09:00:00Z"}
    path = folder / "0b1f.json"
    path.write_text(json.dumps(lock))
    return path


def test_the_lock_of_a_dead_process_of_this_machine_is_no_obstacle_and_is_forgotten(tmp_path: Path) -> None:
    path = _lock(tmp_path, host=socket.gethostname(), pid=a_dead_process())
    backend = _backend(tmp_path)
    backend.check_unlocked()
    assert path.exists(), "looking changes nothing"
    backend.clear_locks()
    assert not path.exists()


@pytest.mark.parametrize("here", [True, False], ids=["alive here", "elsewhere"])
def test_a_lock_that_may_be_alive_goes_only_when_it_is_taken_over(tmp_path: Path, here: bool) -> None:
    path = _lock(
        tmp_path, host=socket.gethostname() if here else "ops-1", pid=os.getpid() if here else a_dead_process()
    )
    backend = _backend(tmp_path)
    with pytest.raises(EngineError, match="locked"):
        backend.check_unlocked()
    backend.clear_locks()
    assert path.exists()
    backend.check_unlocked(take_over=True)
    backend.clear_locks(take_over=True)
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_lock_that_is_not_understood_is_told_by_its_path(tmp_path: Path, text: str) -> None:
    folder = tmp_path / LOCKS
    folder.mkdir(parents=True)
    (folder / "0b1f.json").write_text(text)
    with pytest.raises(EngineError, match=r"0b1f\.json"):
        _backend(tmp_path).check_unlocked()


def test_another_stacks_lock_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / LOCKS.replace("/prod", "/dev")
    folder.mkdir(parents=True)
    (folder / "0b1f.json").write_text("{}")
    _backend(tmp_path).check_unlocked()
