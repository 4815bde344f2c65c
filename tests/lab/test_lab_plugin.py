"""The Barman Cloud plugin's objects as the lab wants them, and the data that archives by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lab import versions
from lab.data import content, repository
from lab.data.environments import ENVIRONMENTS
from lab.node.certificates import self_signed
from lab.platform.barman_plugin import prepared

DEV, PROD = ENVIRONMENTS
PLUGIN = "barman-cloud.cloudnative-pg.io"
UPSTREAM = """
apiVersion: v1
kind: Secret
metadata: {name: plugin-barman-cloud-8tfddg42gf}
data: {SIDECAR_IMAGE: Z2hjci5pbw==}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: barman-cloud}
spec:
  template:
    metadata: {labels: {app: barman-cloud}}
    spec:
      containers: [{name: barman-cloud, image: far.away/plugin:main, readinessProbe: {initialDelaySeconds: 10}}]
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: selfsigned-issuer}
"""


def by_kind(environment: Any, *, by_plugin: bool) -> dict[str, Any]:
    return {found["kind"]: found for found in content.objects_of(environment, by_plugin=by_plugin)}


def test_upstreams_manifest_gets_the_labs_images_and_loses_what_needs_cert_manager() -> None:
    secret, deployment = prepared(yaml.safe_load_all(UPSTREAM), "key")
    assert secret["stringData"] == {"SIDECAR_IMAGE": versions.PLUGIN_SIDECAR_IMAGE}
    assert "data" not in secret
    template = deployment["spec"]["template"]
    assert template["metadata"]["annotations"] == {"lab/image": "key"}
    assert template["spec"]["containers"][0]["image"] == versions.PLUGIN_IMAGE


@pytest.mark.parametrize("server", [True, False])
def test_certificate_signs_itself_and_is_for_its_name(server: bool) -> None:
    key, text = self_signed("barman-cloud", server=server)
    certificate = x509.load_pem_x509_certificate(text)
    certificate.verify_directly_issued_by(certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["barman-cloud"]
    (purpose,) = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert purpose._name == ("serverAuth" if server else "clientAuth")
    assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=300)
    assert load_pem_private_key(key, None).public_key() == certificate.public_key()


def test_database_that_archives_by_the_plugin_is_otherwise_the_same() -> None:
    inside, plugin = by_kind(DEV, by_plugin=False), by_kind(DEV, by_plugin=True)
    own = {"env", "backup", "plugins"}
    specs = [found["Cluster"]["spec"] for found in (inside, plugin)]
    kept, wanted = ({key: value for key, value in spec.items() if key not in own} for spec in specs)
    assert kept == wanted
    assert "backup" not in specs[1]
    assert specs[1]["plugins"] == [
        {"name": PLUGIN, "isWALArchiver": True, "parameters": {"barmanObjectName": DEV.cluster}}
    ]
    store = plugin["ObjectStore"]["spec"]
    backup = specs[0]["backup"]
    assert (store["configuration"], store["retentionPolicy"]) == (
        backup["barmanObjectStore"],
        backup["retentionPolicy"],
    )
    assert store["instanceSidecarConfiguration"]["env"] == specs[0]["env"]
    assert plugin["ScheduledBackup"]["spec"]["pluginConfiguration"] == {"name": PLUGIN}


def test_only_one_environment_archives_by_the_plugin() -> None:
    assert by_kind(PROD, by_plugin=True) == by_kind(PROD, by_plugin=False)
    assert content.key(by_plugin=True) != content.key()


def test_git_declares_the_object_store_beside_the_cluster() -> None:
    files = repository.files("file:///x", declares_enabled=False, by_plugin=True)
    text = files["k8s/envs/dev/middleware/postgres/manifests/objectstore.yaml"]
    assert yaml.safe_load(text)["metadata"] == {"name": DEV.cluster, "namespace": "data"}
    assert not any("prod" in path and path.endswith("objectstore.yaml") for path in files)
