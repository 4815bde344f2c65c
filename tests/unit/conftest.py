"""An environment that the command line can work on, and a Git repository with its clone."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr.core.wal_names import name_of
from tests.archives import SEGMENT, put_wal
from tests.builders import BUCKET, cluster_object
from tests.doubles import (
    ObjectStoreDouble,
    Wire,
    kube_status,
    serving,
    write_environment,
    write_kubeconfig,
    write_pulumi,
)
from tests.repositories import git

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
    write_pulumi(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    wire.on(f"{CLUSTERS}/postgres-prod", cluster_object())
    wire.on(CLUSTERS, {"items": [cluster_object()]})
    wire.on("/api/v1/namespaces/data/services/prod-postgres", {"metadata": {}, "spec": {"externalName": "old.test"}})
    wire.on("/api/v1/namespaces/data/secrets/shop-owner", {"metadata": {}, "data": {"username": "", "password": ""}})
    wire.on("/apis/storage.k8s.io/v1/storageclasses/fast", {"metadata": {}, "provisioner": "x"})
    for path in (
        f"{CLUSTERS}/postgres-prod-recovered",
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
