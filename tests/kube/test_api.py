"""The connection to Kubernetes: which cluster it speaks to, and how each way of failing is told."""

import os
from pathlib import Path
from threading import Event

import pytest
import yaml
from kubernetes import client

from dr.cnpg.clusters import find_cluster, list_clusters
from dr.config.kubernetes_access import KubernetesAccess
from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from dr.kube.login import Loader
from dr.run.stores import RecordStore
from tests.support.builders import NOW, a_record, a_recovered, cluster_object
from tests.support.doubles import Asked, Wire, closed_port, kube_status, serving, write_kubeconfig
from tests.support.waiting import HANG_SECONDS

CLUSTER = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters/postgres-prod"
RECORD = "/api/v1/namespaces/data/configmaps/postgres-dr-prod"
LABELS = {"app.kubernetes.io/managed-by": "postgres-dr"}

pytestmark = pytest.mark.usefixtures("own_home")


def _access(path: Path, context: str = "acme-prod") -> KubernetesAccess:
    return KubernetesAccess(context=context, kubeconfig=str(path))


def _unusable(access: KubernetesAccess) -> AccessError:
    with pytest.raises(AccessError) as refused:
        KubernetesApi(access)
    assert refused.value.remedy
    return refused.value


def test_the_cluster_is_found_and_read(wire: Wire, api: KubernetesApi) -> None:
    wire.on(CLUSTER, cluster_object())
    found = find_cluster(api, "data", "postgres-prod")
    assert found is not None
    assert (found.name, found.database) == ("postgres-prod", "shop")
    assert wire.asked[0].headers["authorization"] == "Bearer token-of-acme-prod"


def test_a_cluster_that_is_not_there_is_none(wire: Wire, api: KubernetesApi) -> None:
    wire.on(CLUSTER, kube_status(404, 'clusters "postgres-prod" not found', name="postgres-prod"), status=404)
    assert find_cluster(api, "data", "postgres-prod") is None


@pytest.mark.parametrize(
    "body", [b"404 page not found\n", kube_status(404, "the server could not find the requested resource")]
)
def test_a_missing_crd_is_told_as_such(wire: Wire, api: KubernetesApi, body: object) -> None:
    wire.on(CLUSTER, body, status=404)
    with pytest.raises(AccessError) as refused:
        find_cluster(api, "data", "postgres-prod")
    assert refused.value.code == "cnpg-missing"
    assert "install the CloudNativePG operator" in refused.value.remedy


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (401, "token-expired", "acme-prod"),
        (403, "forbidden", "the API server's own words"),
        (500, "api-error", "the API server's own words"),
    ],
)
def test_a_refusal_is_told_by_its_kind(wire: Wire, api: KubernetesApi, status: int, code: str, told: str) -> None:
    wire.on(CLUSTER, kube_status(status, "the API server's own words"), status=status)
    with pytest.raises(AccessError) as refused:
        find_cluster(api, "data", "postgres-prod")
    assert refused.value.code == code
    assert told in refused.value.cause
    assert "read the Cluster data/postgres-prod" in refused.value.cause


def test_a_whole_page_from_a_proxy_is_not_repeated(wire: Wire, api: KubernetesApi) -> None:
    wire.on(CLUSTER, b"<html>" + b"x" * 5000, status=502)
    with pytest.raises(AccessError) as refused:
        find_cluster(api, "data", "postgres-prod")
    assert len(refused.value.cause) < 600


def test_a_server_that_is_not_there_is_told_with_its_url_and_context(tmp_path: Path) -> None:
    url = closed_port()
    api = KubernetesApi(_access(write_kubeconfig(tmp_path / "config", {"acme-prod": url})))
    with pytest.raises(AccessError) as refused:
        find_cluster(api, "data", "postgres-prod")
    assert refused.value.code == "api-unreachable"
    assert url in refused.value.cause
    assert "'acme-prod'" in refused.value.cause


def test_a_missing_kubeconfig_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    refused = _unusable(_access(tmp_path / "nowhere"))
    assert refused.code == "kubeconfig-missing"
    assert str(tmp_path / "nowhere") in refused.cause


def test_without_a_kubeconfig_the_home_folder_was_looked_in(own_home: Path) -> None:
    refused = _unusable(KubernetesAccess(context="acme-prod"))
    assert refused.code == "kubeconfig-missing"
    assert str(own_home / ".kube" / "config") in refused.cause


@pytest.mark.parametrize("text", ["", "contexts: [", "- a\n- list\n", "contexts: 7\n", "\x00"], ids=repr)
def test_a_kubeconfig_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    assert _unusable(_access(path)).code in {"kubeconfig-unusable", "context-missing"}


def test_a_kubeconfig_that_cannot_be_read_is_refused() -> None:
    # GIVEN a file whose reading fails with an I/O error, even for root
    assert _unusable(_access(Path("/proc/self/mem"))).code == "kubeconfig-unusable"


def test_a_context_whose_cluster_is_missing_is_refused(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", {"acme-prod": closed_port()})
    path.write_text(path.read_text().replace("cluster: acme-prod", "cluster: gone"))
    assert _unusable(_access(path)).code == "kubeconfig-unusable"


def test_a_missing_context_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", {"acme-dev": closed_port(), "x": closed_port()}, current="acme-dev")
    refused = _unusable(_access(path))
    assert refused.code == "context-missing"
    assert "acme-dev, x" in refused.remedy


def test_the_current_context_is_never_used(wire: Wire, tmp_path: Path) -> None:
    # GIVEN a kubeconfig whose current context is another cluster
    with serving(Wire()) as other:
        path = write_kubeconfig(tmp_path / "config", {"other": other.url, "acme-prod": wire.url}, current="other")
        # WHEN
        wire.on(CLUSTER, cluster_object())
        find_cluster(KubernetesApi(_access(path)), "data", "postgres-prod")
    # THEN
    assert len(wire.asked) == 1
    assert other.asked == []


def test_the_context_may_stand_in_any_file_of_the_variable(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write_kubeconfig(tmp_path / "first", {"other": closed_port()})
    second = write_kubeconfig(tmp_path / "second", {"acme-prod": wire.url})
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(first), str(tmp_path / "missing"), str(second)]))
    assert KubernetesApi(KubernetesAccess(context="acme-prod")).server == wire.url


def test_an_empty_variable_means_the_home_folder(wire: Wire, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_home / ".kube").mkdir()
    write_kubeconfig(own_home / ".kube" / "config", {"acme-prod": wire.url})
    monkeypatch.setenv("KUBECONFIG", "")
    assert KubernetesApi(KubernetesAccess(context="acme-prod")).server == wire.url


def _store(api: KubernetesApi) -> RecordStore:
    return RecordStore(api, "data", "prod", user="me@here")


def _config_map(text: str, version: str = "41") -> dict[str, object]:
    return {"metadata": {"name": "postgres-dr-prod", "resourceVersion": version}, "data": {"record.json": text}}


def _no_record(wire: Wire) -> None:
    wire.on(RECORD, kube_status(404, "not found", name="postgres-dr-prod"), status=404)


def test_before_the_first_operation_there_is_no_record(wire: Wire, api: KubernetesApi) -> None:
    _no_record(wire)
    assert _store(api).read() is None


def test_a_record_comes_back_as_it_was_written(wire: Wire, api: KubernetesApi) -> None:
    record = a_record(a_recovered(), replicas={"api": 3})
    wire.on(RECORD, _config_map(record.model_dump_json()))
    assert _store(api).read() == record


@pytest.mark.parametrize("text", ["{}", "nonsense", '{"version": 1, "novelty": 2}'])
def test_a_record_that_is_not_understood_is_refused(wire: Wire, api: KubernetesApi, text: str) -> None:
    wire.on(RECORD, _config_map(text))
    with pytest.raises(AccessError) as refused:
        _store(api).read()
    assert refused.value.code == "record-unreadable"


def test_the_first_change_creates_the_record(wire: Wire, api: KubernetesApi) -> None:
    _no_record(wire)
    wire.on(RECORD.rsplit("/", 1)[0], {}, method="POST", status=201)
    record = _store(api).change(lambda record: record.with_replicas({"api": 3}), now=NOW)
    (posted,) = wire.received("POST")
    assert posted.body["metadata"] == {"name": "postgres-dr-prod", "labels": LABELS}
    assert (record.replicas, record.updated, record.updated_by) == ({"api": 3}, NOW, "me@here")


def test_a_change_is_guarded_by_the_version_that_was_read(wire: Wire, api: KubernetesApi) -> None:
    wire.on(RECORD, _config_map(a_record().model_dump_json(), version="41"))
    wire.on(RECORD, _config_map("{}"), method="PUT")
    _store(api).change(lambda record: record.with_replicas({"api": 3}), now=NOW)
    (put,) = wire.received("PUT")
    assert put.body["metadata"]["resourceVersion"] == "41"


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_concurrent_change_is_refused(wire: Wire, api: KubernetesApi, method: str) -> None:
    if method == "PUT":
        wire.on(RECORD, _config_map(a_record().model_dump_json()))
    else:
        _no_record(wire)
    conflict = kube_status(409, "the object has been modified", name="postgres-dr-prod")
    for path in (RECORD, RECORD.rsplit("/", 1)[0]):
        wire.on(path, conflict, method=method, status=409)
    with pytest.raises(AccessError, match="the object has been modified"):
        _store(api).change(lambda record: record, now=NOW)
    assert len(wire.received(method)) == 1, "it was tried again, over the other run's change"


@pytest.mark.parametrize("body", [b"<html><body>Sign in</body></html>", b"", b"[]", b"7", b'{"odd": 1}'], ids=repr)
def test_what_is_no_answer_of_an_api_server_is_told_as_such(wire: Wire, api: KubernetesApi, body: bytes) -> None:
    """O7."""
    wire.on(CLUSTER, body)
    wire.on(RECORD, body)
    wire.on("/api/v1/nodes", body)
    wire.on(CLUSTER.rpartition("/")[0], body)
    record = RecordStore(api, "data", "prod", user="ann@ops-1")
    for look in (
        lambda: find_cluster(api, "data", "postgres-prod"),
        lambda: list_clusters(api, "data"),
        record.read,
        lambda: api.ask_plain("list the nodes", api.core.list_node),
    ):
        with pytest.raises(AccessError) as failed:
            look()
        assert failed.value.code == "answer-odd"


@pytest.mark.parametrize("items", [b'{"items": null}', b'{"metadata": {}}', b'{"items": {}}'], ids=repr)
def test_a_list_without_items_is_none(wire: Wire, api: KubernetesApi, items: bytes) -> None:
    """O7."""
    wire.on(CLUSTER.rpartition("/")[0], items)
    with pytest.raises(AccessError) as failed:
        list_clusters(api, "data")
    assert failed.value.code == "answer-odd"


class _Dripping(Wire):
    """A server that begins an answer and never ends it."""

    def respond(self, asked: Asked) -> tuple[int, bytes]:
        self.ended.wait(HANG_SECONDS)
        return super().respond(asked)

    ended = Event()


def test_a_request_has_one_limit_for_the_whole_of_it(tmp_path: Path) -> None:
    """O7."""
    with serving(_Dripping()) as wire:
        access = _access(write_kubeconfig(tmp_path / "config", {"acme-prod": wire.url}))
        with pytest.raises(AccessError) as failed:
            # A read may take longer than all of it: what counts is the whole.
            _short(KubernetesApi(access)).ask("read", client.CoreV1Api(KubernetesApi(access).new_client()).list_node)
        wire.ended.set()
    assert failed.value.code == "api-unreachable"
    assert "no whole answer within" in failed.value.cause


def _short(api: KubernetesApi) -> KubernetesApi:
    api._whole = 0.05
    return api


def _with_login(path: Path, url: str, script: str) -> KubernetesAccess:
    """A kubeconfig whose user logs in by ``script``."""
    program = path / "login"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    config = write_kubeconfig(path / "config", {"acme-prod": url})
    document = yaml.safe_load(config.read_text())
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"}
    document["users"][0]["user"] = {"exec": login}
    config.write_text(yaml.safe_dump(document))
    return _access(config)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'Please run: gcloud auth login' >&2; exit 1", "Please run: gcloud auth login"),
        ("sleep 600", "did not answer within"),
        ("echo '<html>'", "does not answer with an ExecCredential"),
        ("echo '{}'", "does not answer with an ExecCredential"),
        (
            """echo '{"apiVersion": "client.authentication.k8s.io/v1", "status": {}}'""",
            "neither a token nor a certificate",
        ),
    ],
)
def test_a_login_program_that_does_not_log_in_is_named_and_nobody_is_asked(
    wire: Wire, tmp_path: Path, script: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O7."""
    monkeypatch.setattr(Loader.__init__, "__kwdefaults__", {"limit": 0.5 if "sleep" in script else HANG_SECONDS})
    refused = _unusable(_with_login(tmp_path, wire.url, script))
    assert refused.code == "kubeconfig-unusable"
    assert told in refused.cause
    assert wire.asked == []


def test_a_login_program_that_logs_in_gives_its_token(wire: Wire, tmp_path: Path) -> None:
    script = """echo '{"apiVersion": "client.authentication.k8s.io/v1", "status": {"token": "fresh"}}'"""
    wire.on(CLUSTER, cluster_object())
    assert find_cluster(KubernetesApi(_with_login(tmp_path, wire.url, script)), "data", "postgres-prod")
    assert wire.asked[0].headers["authorization"] == "Bearer fresh"
