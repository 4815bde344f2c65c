"""What every test gets: no state, credentials or kubeconfig of the machine it runs on."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from dr.config.environment import KubernetesAccess
from dr.kube.api import KubernetesApi
from tests.doubles import Wire, serving, write_kubeconfig
from tests.leftovers import MARK, leftovers


def pytest_configure(config: pytest.Config) -> None:
    """Google's client warns at import of a package that only its gRPC transport, which is not used, would want."""
    config.addinivalue_line("filterwarnings", "ignore:Please install grpcio-status:ImportWarning")


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """No process that the tests of a file have started outlives them. What does is ended, and a failure."""
    os.environ[MARK] = str(os.getpid())
    before = leftovers()
    yield
    left = {name: process for name, process in leftovers().items() if process not in before.values()}
    for process in left.values():
        with suppress(psutil.Error):
            process.kill()
    assert not left, "started by these tests, and not ended"


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the test's own, and none of the caller's variables that the tool listens to."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("KUBECONFIG", "PULUMI_CONFIG_PASSPHRASE_FILE", "STORAGE_EMULATOR_HOST", "DR_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DR_STATE_DIR", str(home / "state"))
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
    return home


@pytest.fixture
def own_signals() -> Iterator[None]:
    """The handlers of SIGINT and SIGTERM are those of before once the test is over."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A double of the Kubernetes API that knows of nothing yet."""
    with serving(Wire()) as wire:
        yield wire


@pytest.fixture
def api(wire: Wire, tmp_path: Path, own_home: Path) -> KubernetesApi:
    """A connection to ``wire``, by the context ``acme-prod``."""
    path = write_kubeconfig(tmp_path / "kubeconfig-of-wire", {"acme-prod": wire.url})
    return KubernetesApi(KubernetesAccess(context="acme-prod", kubeconfig=str(path)))
