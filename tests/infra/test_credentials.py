"""The way to a rebuilt cluster, and to its repository, without gcloud."""

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import google.auth
import pytest
import yaml
from google.auth.exceptions import DefaultCredentialsError

from dr.config.infrastructure import RepositoryCredentials
from dr.config.kubernetes_access import KubernetesAccess
from dr.core.errors import AccessError
from dr.infra.credentials import cluster_endpoint, read_credentials, write_kubeconfig
from dr.kube.api import KubernetesApi
from tests.support.doubles import Wire

CLUSTER = "/projects/acme/locations/europe-west4/clusters/acme"
SECRET = "projects/acme/secrets/repository/versions/latest"


def _logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = SimpleNamespace(token="ya29.token", refresh=lambda _: None)
    monkeypatch.setattr(google.auth, "default", lambda **_: (credentials, "acme"))


def test_the_endpoint_is_the_one_that_google_tells(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CONTAINER_CUSTOM_ENDPOINT", f"{wire.url}/")
    dns = {"dnsEndpointConfig": {"endpoint": "gke-1.europe-west4.gke.goog"}}
    wire.on(CLUSTER, {"name": "acme", "controlPlaneEndpointsConfig": dns})
    assert cluster_endpoint("acme", "europe-west4", "acme") == "https://gke-1.europe-west4.gke.goog"


@pytest.mark.parametrize("there", [True, False])
def test_without_an_endpoint_it_says_whether_there_is_a_cluster(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    monkeypatch.setenv("GOOGLE_CONTAINER_CUSTOM_ENDPOINT", f"{wire.url}/")
    if there:
        wire.on(CLUSTER, {"name": "acme"})
    else:
        wire.on(CLUSTER, {"error": {"code": 404, "message": "Not found"}}, status=404)
    with pytest.raises(AccessError) as refused:
        cluster_endpoint("acme", "europe-west4", "acme")
    assert refused.value.code == "endpoint-missing"
    assert ("no DNS endpoint" in refused.value.cause) is there


def test_the_kubeconfig_is_the_owners_alone_and_can_be_used_at_once(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _logged_in(monkeypatch)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    path = tmp_path / "new" / "prod.yaml"
    for _ in range(2):
        write_kubeconfig(path, contexts=("acme-prod", "acme", "acme-prod"), server="https://gke-1.test")
    assert path.stat().st_mode & 0o777 == 0o600
    written = yaml.safe_load(path.read_text())
    assert [context["name"] for context in written["contexts"]] == ["acme-prod", "acme"]
    assert "current-context" not in written
    for context in ("acme-prod", "acme"):
        api = KubernetesApi(KubernetesAccess(context=context, kubeconfig=str(path)))
        assert api.server == "https://gke-1.test"


def test_a_machine_whose_trust_is_given_by_the_variable_trusts_it_here_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _logged_in(monkeypatch)
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/own/bundle.pem")
    write_kubeconfig(tmp_path / "x", contexts=("acme-prod",), server="https://gke-1.test")
    (cluster,) = yaml.safe_load((tmp_path / "x").read_text())["clusters"]
    assert cluster["cluster"]["certificate-authority"] == "/etc/own/bundle.pem"


def test_who_is_not_logged_in_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(**_: object) -> Any:
        raise DefaultCredentialsError("no credentials")  # type: ignore[no-untyped-call]

    monkeypatch.setattr(google.auth, "default", nobody)
    with pytest.raises(AccessError) as refused:
        write_kubeconfig(tmp_path / "x", contexts=("a",), server="https://a.test")
    assert refused.value.code == "google-credentials"


def test_a_repository_that_anyone_may_read_needs_no_keys() -> None:
    assert read_credentials(None) is None


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text("username: ann\npassword: hunter2\n")
    assert read_credentials(RepositoryCredentials(file=str(path))) == {"username": "ann", "password": "hunter2"}


def test_keys_are_read_from_secret_manager(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_SECRET_MANAGER_CUSTOM_ENDPOINT", f"{wire.url}/")
    payload = base64.b64encode(b'{"sshPrivateKey": "key"}').decode()
    wire.on(f"/{SECRET}:access", {"payload": {"data": payload}})
    assert read_credentials(RepositoryCredentials(secret=SECRET)) == {"sshPrivateKey": "key"}


@pytest.mark.parametrize("text", ["", "- a\n", "hunter2", "a: 1\n", "a: [\n"])
def test_keys_that_are_none_are_refused_without_being_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(text)
    with pytest.raises(AccessError) as refused:
        read_credentials(RepositoryCredentials(file=str(path)))
    assert refused.value.code == "repository-credentials-wrong"
    assert "hunter2" not in refused.value.cause + refused.value.remedy


def test_a_file_or_a_secret_that_is_not_there_is_told(
    tmp_path: Path, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_SECRET_MANAGER_CUSTOM_ENDPOINT", f"{wire.url}/")
    wire.on(f"/{SECRET}:access", {"error": {"code": 404, "message": "Not found"}}, status=404)
    for where in (RepositoryCredentials(file=str(tmp_path / "none")), RepositoryCredentials(secret=SECRET)):
        with pytest.raises(AccessError) as refused:
            read_credentials(where)
        assert refused.value.code == "repository-credentials-wrong"
