"""What every test gets: no state, credentials or kubeconfig of the machine it runs on; places to work on."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import click
import psutil
import pytest

from dr.config.kubernetes_access import KubernetesAccess
from dr.core.commands import CommandLines
from dr.core.wal_names import name_of
from dr.kube.api import KubernetesApi
from tests.support.archives import SEGMENT, put_wal
from tests.support.builders import BUCKET, cluster_object
from tests.support.doubles import (
    EMPTY_STATE,
    ObjectStoreDouble,
    Wire,
    kube_status,
    serving,
    write_environment,
    write_kubeconfig,
    write_pulumi,
)
from tests.support.leftovers import MARK, leftovers
from tests.support.printed import check_dr, check_kubectl
from tests.support.repositories import git

# A shell without job control starts what it puts into the background deaf to Ctrl-C, and so would be all that is
# started here; a handler is not inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)


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


_CHECKED: set[tuple[str, CommandLines]] = set()


@pytest.fixture(autouse=True)
def printed_commands_work(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """O5. Every command that a test has the tool make, to be printed, is one that its program takes as it is printed:
    on the environment, the configuration and the cluster of the run.
    """
    dr, kubectl, faults = CommandLines.dr, CommandLines.kubectl, list[str]()

    def check(line: str, of: CommandLines, checked: Callable[[], None]) -> str:
        if (line, of) not in _CHECKED:
            _CHECKED.add((line, of))
            try:
                checked()
            except (AssertionError, ValueError, click.ClickException) as error:
                faults.append(f"{line}: {error}")
        return line

    def made_dr(self: CommandLines, command: str, *words: str) -> str:
        line = dr(self, command, *words)
        return check(line, self, lambda: check_dr(line, self))

    def made_kubectl(self: CommandLines, *words: str, namespace: str = "") -> str:
        line = kubectl(self, *words, namespace=namespace)
        return check(line, self, lambda: check_kubectl(line, self, namespace=namespace))

    monkeypatch.setattr(CommandLines, "dr", made_dr)
    monkeypatch.setattr(CommandLines, "kubectl", made_kubectl)
    yield
    assert not faults, "printed, and not to be run as printed"


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


CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"


@pytest.fixture
def bucket(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStoreDouble]:
    """A base backup of the source, with its WAL."""
    with serving(ObjectStoreDouble(bucket=BUCKET)) as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        store.add_backup("20240501T030000", "2024-05-01 03:00:33+00:00")
        put_wal(store, "postgres-prod", {name_of(1, number, SEGMENT): None for number in (3, 4)})
        yield store


@pytest.fixture
def place(
    tmp_path: Path,
    wire: Wire,
    bucket: ObjectStoreDouble,
    own_home: Path,
    own_signals: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A configuration, an API, a bucket and a pulumi with which a recovery could begin. The source does not answer."""
    write_environment(tmp_path, write_kubeconfig(tmp_path / "config", {"acme-prod": wire.url}))
    write_pulumi(tmp_path / "bin", EMPTY_STATE)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    wire.on(f"{CLUSTERS}/postgres-prod", cluster_object())
    wire.on(CLUSTERS, {"items": [cluster_object()]})
    wire.on("/api/v1/namespaces/data/services/prod-postgres", {"metadata": {}, "spec": {"externalName": "old.test"}})
    wire.on("/api/v1/namespaces/data/secrets/shop-owner", {"metadata": {}, "data": {"username": "", "password": ""}})
    wire.on("/apis/storage.k8s.io/v1/storageclasses/fast", {"metadata": {}, "provisioner": "x"})
    for path in (
        f"{CLUSTERS}/postgres-prod-recovered",
        "/api/v1/namespaces/data/secrets/postgres-prod-ca",
        "/api/v1/namespaces/data/secrets/postgres-prod-recovered-app",
        "/api/v1/namespaces/data/configmaps/postgres-dr-prod",
        "/apis/coordination.k8s.io/v1/namespaces/data/leases/postgres-dr-prod",
    ):
        wire.on(path, kube_status(404, "not found", name="x"), status=404)
    for name in ("api", "worker"):
        spec = {"replicas": 3, "selector": {"matchLabels": {"app": name}}, "template": {}}
        wire.on(f"/apis/apps/v1/namespaces/prod/deployments/{name}", {"metadata": {"name": name}, "spec": spec})
    return tmp_path


@pytest.fixture
def own_git(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Git that knows nothing of the caller, and its user by a configuration of its own."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "SSH_", "XDG_"))] + ["EMAIL"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (own_home / ".gitconfig").write_text(
        "[user]\nname = Ada Operator\nemail = ada@shop.test\n[init]\ndefaultBranch = main\n[protocol]\nversion = 2\n"
    )


@pytest.fixture
def remote(tmp_path: Path, own_git: None) -> Path:
    """A bare repository with two manifests on main."""
    work, bare = tmp_path / "work", tmp_path / "platform.git"
    (work / "db" / "inner").mkdir(parents=True)
    git(work, "init", "-q")
    (work / "db" / "b.yaml").write_bytes(b"b: 1\r\n")
    (work / "db" / "inner" / "a.yml").write_text("a: \u00fc\n")
    (work / "db" / "inner" / "a.yml").chmod(0o755)
    (work / "db" / "notes.txt").write_text("text\n")
    (work / "db" / "link.yaml").symlink_to("b.yaml")
    (work / "other.yaml").write_text("other: 1\n")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "first")
    git(tmp_path, "clone", "-q", "--bare", str(work), str(bare))
    git(work, "remote", "add", "origin", str(bare))
    return bare


@pytest.fixture
def clone(remote: Path, tmp_path: Path) -> Path:
    """A clone of the remote."""
    git(tmp_path, "clone", "-q", str(remote), "clone")
    return tmp_path / "clone"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStoreDouble]:
    """An empty bucket, which the storage library is led to."""
    with serving(ObjectStoreDouble(bucket=BUCKET)) as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        yield store
