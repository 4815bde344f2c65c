"""Asking the application whether it works."""

import socket

import pytest

from dr.core.errors import InterruptedOperationError, VerificationError
from dr.traffic import name_check as smoke_test
from dr.traffic.name_check import await_ok
from tests.support.doubles import Impatient, Wire, closed_port


def _ask(url: str, stop: Impatient, *, limit: float = 60) -> str:
    return await_ok(f"{url}/health", limit=limit, stop=stop, remedy="go back")


def test_an_answer_of_200_is_told_in_a_line(wire: Wire) -> None:
    wire.on("/health", b'{"users":\n  true}')
    stop = Impatient()
    assert _ask(wire.url, stop) == '200 {"users": true}'
    assert stop.waited == []


def test_a_long_answer_is_cut(wire: Wire) -> None:
    wire.on("/health", b"x" * 5000)
    assert len(_ask(wire.url, Impatient())) == 200


def test_an_application_that_finds_its_database_after_a_moment_passes(wire: Wire) -> None:
    wire.on("/health", b"no database", status=503)
    stop = Impatient(lambda waited: wire.on("/health", b"fine") if waited else None)
    assert _ask(wire.url, stop) == "200 fine"
    assert len(stop.waited) == 2


@pytest.mark.parametrize("status", [204, 404, 500, 503])
def test_any_other_answer_fails_with_what_was_said_and_the_way_back(wire: Wire, status: int) -> None:
    wire.on("/health", b"" if status == 204 else b"no database", status=status)
    with pytest.raises(VerificationError) as failed:
        _ask(wire.url, Impatient(), limit=0)
    assert (failed.value.code, failed.value.remedy) == ("smoke-test-failed", "go back")
    assert f"{wire.url}/health answers {status}" in failed.value.cause


def test_an_application_that_is_not_there_fails(own_home: object) -> None:
    with pytest.raises(VerificationError) as failed:
        _ask(closed_port(), Impatient(), limit=0)
    assert "answers nothing" in failed.value.cause


def test_an_application_that_does_not_answer_in_time_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a port that takes connections and says nothing
    monkeypatch.setattr(smoke_test, "_ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(VerificationError) as failed:
        _ask(f"http://127.0.0.1:{mute.getsockname()[1]}", Impatient(), limit=0)
    assert "timed out" in failed.value.cause


def test_asking_ends_when_told_to_stop(wire: Wire) -> None:
    wire.on("/health", b"no database", status=503)
    stop = Impatient(lambda _: stop.set())
    with pytest.raises(InterruptedOperationError, match="/health to answer 200"):
        _ask(wire.url, stop)
