"""Whether clients inside the cluster reach the right database by the name they use."""

import base64
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from dr.core.errors import DrError, InterruptedOperationError, StepFailedError, VerificationError
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import PodExec, Ran
from dr.postgres.psql import CONTAINER
from dr.traffic.name_check import await_same_address, log_in
from dr.traffic.passwords import Login
from tests.support.doubles import Impatient, RanInPod, in_pods, said

ALIAS, HOST = "prod-postgres.data.svc.cluster.local", "postgres-prod-recovered-rw.data.svc.cluster.local"
SECRET = {
    key: base64.b64encode(value.encode()).decode() for key, value in (("username", "keeper"), ("password", "s'e c"))
}


@pytest.fixture
def pod(api: KubernetesApi) -> PodExec:
    return PodExec(api, namespace="data", pod="postgres-prod-recovered-1", container=CONTAINER)


class _Names:
    """The names as they are known inside the cluster."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **addresses: str) -> None:
        self.addresses = {ALIAS: addresses.get("alias", ""), HOST: addresses.get("host", "")}
        self.ran = in_pods(monkeypatch, self._answer)

    def _answer(self, ran: RanInPod) -> Ran:
        assert ran.command[:2] == ["getent", "ahosts"]
        found = self.addresses[ran.command[2]].split()
        lines = "".join(f"{one:<15} {kind} {HOST}\n" for one in found for kind in ("STREAM", "DGRAM", "RAW"))
        return said(lines) if found else said(code=2)


def _await(pod: PodExec, stop: Impatient, *, limit: float = 60) -> str:
    return await_same_address(pod, ALIAS, HOST, limit=limit, stop=stop)


def test_a_name_that_has_moved_is_told_with_its_address(pod: PodExec, monkeypatch: pytest.MonkeyPatch) -> None:
    names = _Names(monkeypatch, alias="10.0.0.9", host="10.0.0.9")
    assert _await(pod, Impatient()) == "10.0.0.9"
    assert {ran.pod for ran in names.ran} == {"postgres-prod-recovered-1"}


@pytest.mark.parametrize(("host", "told"), [("fd00::9", "fd00::9"), ("fd00::9 10.0.0.9", "10.0.0.9, fd00::9")], ids=str)
def test_a_name_may_lead_to_addresses_of_any_family(
    pod: PodExec, monkeypatch: pytest.MonkeyPatch, host: str, told: str
) -> None:
    """E28."""
    _Names(monkeypatch, alias=" ".join(reversed(host.split())), host=host)
    assert _await(pod, Impatient()) == told


def test_a_name_of_which_one_family_has_not_moved_is_waited_for(pod: PodExec, monkeypatch: pytest.MonkeyPatch) -> None:
    """E28."""
    names = _Names(monkeypatch, alias="10.0.0.9 fd00::1", host="10.0.0.9 fd00::9")
    stop = Impatient(lambda _: names.addresses.update({ALIAS: "10.0.0.9 fd00::9"}))
    assert _await(pod, stop) == "10.0.0.9, fd00::9"
    assert len(stop.waited) == 1


def test_a_name_that_is_still_cached_is_waited_for(pod: PodExec, monkeypatch: pytest.MonkeyPatch) -> None:
    names = _Names(monkeypatch, alias="10.0.0.1", host="10.0.0.9")
    stop = Impatient(lambda _: names.addresses.update({ALIAS: "10.0.0.9"}))
    assert _await(pod, stop) == "10.0.0.9"
    assert len(stop.waited) == 1


@pytest.mark.parametrize(
    ("alias", "host", "told"),
    [
        ("10.0.0.1", "10.0.0.9", "leads to 10.0.0.1"),
        ("", "10.0.0.9", "leads to nowhere"),
        ("10.0.0.1", "", "not to an address"),
        ("", "", "leads to nowhere"),
    ],
)
def test_a_name_that_does_not_move_is_told_with_where_it_leads(
    pod: PodExec, monkeypatch: pytest.MonkeyPatch, alias: str, host: str, told: str
) -> None:
    _Names(monkeypatch, alias=alias, host=host)
    with pytest.raises(StepFailedError) as failed:
        _await(pod, Impatient(), limit=0)
    assert failed.value.code == "name-not-moved"
    assert told in failed.value.cause
    assert ALIAS in failed.value.cause
    assert HOST in failed.value.cause


def test_waiting_for_a_name_ends_when_told_to_stop(pod: PodExec, monkeypatch: pytest.MonkeyPatch) -> None:
    _Names(monkeypatch, alias="10.0.0.1", host="10.0.0.9")
    stop = Impatient(lambda _: stop.set())
    with pytest.raises(InterruptedOperationError, match=f"{ALIAS} to lead to {HOST}"):
        _await(pod, stop)


def _log_in(
    pod: PodExec,
    *,
    database: str = "shop",
    secret: Mapping[str, str] = SECRET,
    limit: float = 60,
    stop: Impatient | None = None,
) -> str:
    return log_in(
        pod,
        host=ALIAS,
        database=database,
        login=Login(secret=secret, whose="Secret shop-owner"),
        limit=limit,
        stop=stop or Impatient(),
    )


def test_a_login_tells_the_address_of_the_server(pod: PodExec, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = in_pods(monkeypatch, lambda _: said("10.1.2.3\n"))
    assert _log_in(pod) == "10.1.2.3"
    (one,) = ran
    (settings,) = [part for part in one.command if part.startswith("host=")]
    assert settings.split()[:4] == [f"host='{ALIAS}'", "dbname='shop'", "user='keeper'", "sslmode='require'"]


def test_the_password_goes_by_standard_input_and_never_as_an_argument(
    pod: PodExec, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = in_pods(monkeypatch, lambda _: said("10.1.2.3\n"))
    _log_in(pod)
    (one,) = ran
    assert one.standard_input == "s'e c\n"
    assert "s'e c" not in " ".join(one.command)


def test_a_login_that_is_refused_is_told_at_once_in_postgresqls_words(
    pod: PodExec, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = in_pods(monkeypatch, lambda _: said(code=2, errors="FATAL: password authentication failed\n"))
    with pytest.raises(VerificationError) as failed:
        _log_in(pod)
    assert len(ran) == 1
    assert failed.value.code == "login-failed"
    assert "keeper" in failed.value.cause
    assert failed.value.cause.endswith("password authentication failed")
    assert "s'e c" not in failed.value.cause


def test_a_server_that_wants_a_client_certificate_is_not_waited_for(
    pod: PodExec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E20."""
    ran = in_pods(monkeypatch, lambda _: said(code=2, errors="FATAL: connection requires a valid client certificate\n"))
    with pytest.raises(VerificationError, match="client certificate"):
        _log_in(pod)
    assert len(ran) == 1


_NO_ROUTE = said(code=2, errors="connection to server failed: No route to host\n")


def test_a_service_that_is_not_ready_yet_is_waited_for(pod: PodExec, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([_NO_ROUTE, said(code=2, errors="FATAL: the database system is starting up\n"), said("10.1.2.3\n")])
    in_pods(monkeypatch, lambda _: next(answers))
    stop = Impatient()
    assert _log_in(pod, stop=stop) == "10.1.2.3"
    assert len(stop.waited) == 2


def test_waiting_for_a_login_ends_at_the_limit(pod: PodExec, monkeypatch: pytest.MonkeyPatch) -> None:
    in_pods(monkeypatch, lambda _: _NO_ROUTE)
    with pytest.raises(VerificationError, match="No route to host"):
        _log_in(pod, limit=0)


def test_waiting_for_a_login_ends_when_told_to_stop(pod: PodExec, monkeypatch: pytest.MonkeyPatch) -> None:
    in_pods(monkeypatch, lambda _: _NO_ROUTE)
    stop = Impatient(lambda _: stop.set())
    with pytest.raises(InterruptedOperationError, match=f"a login at {ALIAS}"):
        _log_in(pod, limit=60, stop=stop)


def test_the_password_is_exported_to_psql_as_it_was_typed(
    pod: PodExec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # GIVEN a psql that prints what it was given, and a password with all that a shell could trip over
    (tmp_path / "psql").write_text('#!/bin/sh\nprintf "<%s>" "$PGPASSWORD"\n')
    (tmp_path / "psql").chmod(0o755)
    password = " a\\b 'c' \"$d\" "
    # WHEN the command is run by a shell
    in_pods(monkeypatch, lambda ran: _run_here(ran, tmp_path))
    secret = {**SECRET, "password": base64.b64encode(password.encode()).decode()}
    said_by_psql = _log_in(pod, secret=secret)
    # THEN nothing of it is lost
    assert said_by_psql == f"<{password}>"


def _run_here(ran: RanInPod, folder: Path) -> Ran:
    ended = subprocess.run(
        ran.command,
        input=ran.standard_input,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
    )
    return said(ended.stdout)


def test_a_user_name_with_a_space_is_one_value_of_the_connection_string(
    pod: PodExec, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = in_pods(monkeypatch, lambda _: said("10.1.2.3\n"))
    secret = {**SECRET, "username": base64.b64encode(b"keeper of shops").decode()}
    _log_in(pod, database="my shop", secret=secret)
    (settings,) = [part for part in ran[0].command if part.startswith("host=")]
    assert {"user=keeper of shops", "dbname=my shop"} <= set(shlex.split(settings))


@pytest.mark.parametrize("missing", ["username", "password"])
def test_a_secret_that_lacks_a_key_is_no_fault_of_the_tool(pod: PodExec, missing: str) -> None:
    secret = {key: value for key, value in SECRET.items() if key != missing}
    with pytest.raises(DrError, match=missing):
        _log_in(pod, secret=secret)
