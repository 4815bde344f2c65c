"""The configuration: what the two files hold, and how a wrong one is refused."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from dr.config.backup_location import Kind
from dr.config.environment import Environment, parse_environment
from dr.config.load import load_environment
from dr.core.errors import ConfigError
from tests.support.builders import an_environment, config_document

ROOT = Path(__file__).resolve().parents[2]


def _refused(document: object, **others: object) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        parse_environment("prod", document, where="Pulumi.prod.yaml", others=others)
    assert refused.value.remedy, "a refusal says what to write instead"
    assert "Pulumi.prod.yaml" in refused.value.cause
    return refused.value


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_repositorys_files_hold_the_runbooks_values(name: str) -> None:
    environment = load_environment(name, ROOT)
    assert (environment.name, environment.namespace) == (name, "data")
    assert environment.gcp_project == "development-485000"
    assert environment.backup.url == f"gs://tomoda-db-backups-development-485000/{name}"
    assert environment.source_cluster == f"postgres-{name}"
    assert environment.recovered_cluster == f"postgres-{name}-recovered"
    assert environment.workloads.namespace == name
    assert environment.workloads.deployments == ("tomoda-api", "tomoda-async")
    assert environment.workloads.replicas == 2
    assert environment.timeouts.recovery == timedelta(minutes=20)
    assert environment.timeouts.rebuild_minutes == 10
    assert any("users" in query.sql for query in environment.verification)
    assert any("postgis_version" in query.sql.lower() for query in environment.verification)


@pytest.mark.parametrize(("name", "service"), [("dev", "postgres-postgresql"), ("prod", "prod-postgres-postgresql")])
def test_each_file_names_the_runbooks_service(name: str, service: str) -> None:
    assert load_environment(name, ROOT).service == service


def test_production_has_the_runbooks_smoke_test() -> None:
    assert load_environment("prod", ROOT).smoke_test_url == "https://api.tomoda.life/health"


def test_no_context_serves_two_environments() -> None:
    contexts = {load_environment(name, ROOT).kubernetes.context for name in ("dev", "prod")}
    assert len(contexts) == 2


def test_production_wants_a_name_typed() -> None:
    assert load_environment("prod", ROOT).confirmation == "name"


@pytest.mark.parametrize("key", ["smokeTestUrl", "timeouts"])
def test_optional_keys_may_be_left_out(key: str) -> None:
    assert an_environment(**{key: None}).timeouts.recovery == timedelta(minutes=20)


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        ({"gcpProject": 5}, "gcpProject", "5"),
        ({"kubernetes": {"context": ""}}, "kubernetes.context", "''"),
        ({"kubernetes": "acme-prod"}, "kubernetes", "'acme-prod'"),
        ({"backup": {"bucket": "b" * 5, "path": "/prod"}}, "backup.path", "'/prod'"),
        ({"backup": {"bucket": "gs://acme", "path": "prod"}}, "backup.bucket", "'gs://acme'"),
        ({"namespace": "Data"}, "namespace", "'Data'"),
        ({"sourceCluster": "p" * 51}, "sourceCluster", "p" * 51),
        ({"recoveredCluster": "1st"}, "recoveredCluster", "'1st'"),
        ({"workloads": {"namespace": "prod", "deployments": "api"}}, "workloads.deployments", "'api'"),
        ({"workloads": {"namespace": "prod", "deployments": []}}, "workloads.deployments", "[]"),
        ({"workloads": {"namespace": "prod", "deployments": ["api", 7]}}, "workloads.deployments.1", "7"),
        (
            {"workloads": {"namespace": "prod", "deployments": ["api"], "replicas": "2"}},
            "workloads.replicas",
            "'2'",
        ),
        ({"timeouts": {"recoveryMinutes": "20"}}, "timeouts.recoveryMinutes", "'20'"),
        ({"timeouts": {"recoveryMinutes": 0}}, "timeouts.recoveryMinutes", "0"),
        ({"timeouts": {"rebuildMinutes": -1}}, "timeouts.rebuildMinutes", "-1"),
        ({"verification": []}, "verification", "[]"),
        ({"verification": [{"name": "x", "sql": "DROP TABLE users"}]}, "verification.0.sql", "'DROP TABLE users'"),
        ({"verification": [{"name": "x", "sql": "SELECT 1; DELETE"}]}, "verification.0.sql", "'SELECT 1; DELETE'"),
        ({"smokeTestUrl": "api.acme.test"}, "smokeTestUrl", "'api.acme.test'"),
        ({"confirmation": "never"}, "confirmation", "'never'"),
        ({"stateBackend": "s3://acme"}, "stateBackend", "'s3://acme'"),
        ({"stateBackend": "file://relative"}, "stateBackend", "'file://relative'"),
        ({"secretsProvider": "awskms://x"}, "secretsProvider", "'awskms://x'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_value_is_refused_with_its_key_and_itself(changes: dict[str, Any], key: str, value: str) -> None:
    refused = _refused(config_document(**changes))
    assert refused.code == "config-wrong-value"
    assert f"postgres-dr:{key} is " in refused.cause
    assert value in refused.cause


@pytest.mark.parametrize(
    ("given", "path", "url"),
    [
        ({}, "", "gs://acme-pg-backups"),
        ({"path": ""}, "", "gs://acme-pg-backups"),
        ({"path": "cnpg/prod/"}, "cnpg/prod", "gs://acme-pg-backups/cnpg/prod"),
    ],
)
def test_a_path_may_be_the_bucket_itself_and_end_with_a_slash(given: dict[str, str], path: str, url: str) -> None:
    """C5."""
    place = an_environment(backup={"bucket": "acme-pg-backups", **given}).backup
    assert (place.path, place.url) == (path, url)


@pytest.mark.parametrize(
    ("given", "store", "bucket", "path", "listed"),
    [
        ({"destinationPath": "gs://acme/prod/"}, Kind.GCS, "acme", "prod", "gcloud storage ls gs://acme/prod/"),
        ({"destinationPath": "s3://acme"}, Kind.S3, "acme", "", "aws s3 ls s3://acme/"),
        (
            {"store": "s3", "bucket": "acme", "path": "a/b", "endpointURL": "https://minio.test:9000/"},
            Kind.S3,
            "acme",
            "a/b",
            "aws s3 ls s3://acme/a/b/ --endpoint-url https://minio.test:9000",
        ),
        (
            {"destinationPath": "https://acme.blob.core.windows.net/backups/prod"},
            Kind.AZURE,
            "backups",
            "prod",
            (
                "az storage blob list --blob-endpoint https://acme.blob.core.windows.net --container-name backups "
                "--prefix prod/"
            ),
        ),
        (
            {"destinationPath": "http://127.0.0.1:10000/devstoreaccount1/backups"},
            Kind.AZURE,
            "backups",
            "",
            "az storage blob list --blob-endpoint http://127.0.0.1:10000/devstoreaccount1 --container-name backups",
        ),
    ],
)
def test_a_destination_path_says_store_bucket_and_path(
    given: dict[str, str], store: Kind, bucket: str, path: str, listed: str
) -> None:
    place = an_environment(backup=given).backup
    assert (place.store, place.bucket, place.path, place.list_command) == (store, bucket, path, listed)
    if written := given.get("destinationPath"):
        assert place.url == written.rstrip("/")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"destinationPath": "ftp://acme/prod"}, "write one of gs://bucket/path, s3://bucket/path or https://"),
        ({"destinationPath": "https://acme.blob.core.windows.net"}, "write one of gs://"),
        ({"destinationPath": "s3://acme/prod", "bucket": "acme"}, "destinationPath says it already: leave bucket out"),
        ({"bucket": "acme", "endpointURL": "https://minio.test"}, "endpointURL is not for a bucket of Cloud Storage"),
        ({"bucket": "acme", "credentials": "cluster"}, "credentials is not for a bucket of Cloud Storage"),
        ({"store": "azure", "bucket": "acme"}, "for Azure write destinationPath: https://"),
        ({"destinationPath": "s3://acme", "endpointURL": "minio.test"}, "https://minio.example.org:9000"),
        ({"store": "ftp", "bucket": "acme"}, "'gcs', 's3' or 'azure'"),
    ],
)
def test_a_place_that_contradicts_itself_is_refused_with_what_to_write(given: dict[str, str], told: str) -> None:
    assert told in _refused(config_document(backup=given)).remedy


def test_a_project_of_google_is_wanted_only_where_something_is_there() -> None:
    elsewhere = {"gcpProject": None, "backup": {"destinationPath": "s3://acme/prod"}}
    assert an_environment(**elsewhere).gcp_project == ""
    assert _refused(config_document(**elsewhere, infrastructure={})).code == "config-missing-key"
    assert "gcpProject is empty" in _refused(config_document(gcpProject="")).cause


@pytest.mark.parametrize("key", ["gcpProject", "kubernetes", "backup", "sourceCluster", "service", "workloads"])
def test_a_missing_key_is_named_and_asked_for(key: str) -> None:
    refused = _refused(config_document(**{key: None}))
    assert refused.code == "config-missing-key"
    assert refused.cause.endswith(f"postgres-dr:{key} is missing")
    assert f"add postgres-dr:{key}" in refused.remedy


@pytest.mark.parametrize(
    ("changes", "key", "known"),
    [
        ({"sourceClutser": "x"}, "sourceClutser", "sourceCluster"),
        ({"source_cluster": "x"}, "source_cluster", "sourceCluster"),
        ({"backup": {"bucket": "acme", "path": "prod", "pth": 1}}, "backup.pth", "path"),
        ({"verification": [{"name": "x", "sql": "SELECT 1", "atMost": 1}]}, "verification.0.atMost", "atLeast"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unknown_key_is_refused_with_those_that_are_known_there(
    changes: dict[str, Any], key: str, known: str
) -> None:
    refused = _refused(config_document(**changes))
    assert f"unknown key postgres-dr:{key}" in refused.cause
    assert known in refused.remedy


def test_the_environments_name_is_the_files_and_is_no_key() -> None:
    assert "postgres-dr:name" in _refused(config_document(name="prod")).cause


@pytest.mark.parametrize("beside", [{"backup": {}}, {1: "x", "backup": {}}], ids=["one", "also one that is no text"])
def test_a_key_beside_config_is_refused_with_where_it_belongs(beside: dict[object, object]) -> None:
    refused = _refused(dict[object, object](config_document()) | beside)
    assert refused.code == "config-unknown-key"


@pytest.mark.parametrize("document", [None, [], "text", {}, {"config": None}, {"config": ["x"]}], ids=repr)
def test_a_file_of_another_shape_is_refused(document: object) -> None:
    assert _refused(document).code == "config-malformed"


def test_pulumis_own_keys_are_none_of_our_business() -> None:
    document = config_document()
    document["config"]["pulumi:disable-default-providers"] = ["kubernetes"]
    document["encryptionsalt"] = "v1:abc"
    assert parse_environment("prod", document, where="Pulumi.prod.yaml").name == "prod"


def test_all_faults_of_a_file_are_told_at_once() -> None:
    refused = _refused(config_document(namespace="Data", smokeTestUrl="x"))
    assert "postgres-dr:namespace" in refused.cause
    assert "postgres-dr:smokeTestUrl" in refused.cause


def test_recovering_in_place_is_a_contradiction() -> None:
    refused = _refused(config_document(recoveredCluster="postgres-prod"))
    assert "sourceCluster are both 'postgres-prod'" in refused.cause
    assert "recoveredCluster: postgres-prod-recovered" in refused.remedy


def test_two_queries_of_one_name_are_a_contradiction() -> None:
    query = {"name": "users", "sql": "SELECT 1"}
    assert "'users'" in _refused(config_document(verification=[query, query])).cause


@pytest.mark.parametrize("key", ["sourceCluster", "recoveredCluster", "service"])
def test_another_environments_names_are_refused(key: str) -> None:
    own = an_environment().model_dump(by_alias=True)
    others = {"namespace": "data", "sourceCluster": "a", "recoveredCluster": "b", "service": "c", key: own[key]}
    refused = _refused(config_document(), dev={"config": {f"postgres-dr:{k}": v for k, v in others.items()}})
    assert f"{key} is {own[key]!r}, which is the dev environment's" in refused.cause


def test_the_same_name_in_another_namespace_is_no_clash() -> None:
    dev = {"config": {"postgres-dr:namespace": "dev", "postgres-dr:sourceCluster": "postgres-prod"}}
    assert parse_environment("prod", config_document(), where="here", others={"dev": dev}).name == "prod"


def test_an_environment_does_not_change_after_reading() -> None:
    environment: Any = an_environment()
    with pytest.raises(ValueError, match="frozen"):
        environment.namespace = "other"


def _folder(path: Path, **files: str) -> Path:
    for name, text in files.items():
        (path / f"Pulumi.{name}.yaml").write_text(text)
    return path


@pytest.mark.parametrize("name", ["staging", "", "../dev", "Dev"])
def test_an_unknown_environment_is_refused_with_the_known_ones(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load_environment(name, _folder(tmp_path, dev="config: {}", prod="config: {}"))
    assert refused.value.code == "env-unknown"
    assert "dev, prod" in refused.value.remedy


def test_a_folder_without_any_environment_is_named_with_what_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        load_environment("prod", Path())
    assert refused.value.code == "env-unknown"
    assert f"{tmp_path} has no Pulumi.prod.yaml" in refused.value.cause
    assert "--config-dir" in refused.value.remedy
    # AND what has to be in it is what a file without a key is refused for
    keys = refused.value.remedy.partition("at least ")[2].partition(" (")[0].split(", ")
    document = config_document()
    assert {f"postgres-dr:{key}" for key in keys} <= set(document["config"])
    only = {"config": {f"postgres-dr:{key}": document["config"][f"postgres-dr:{key}"] for key in keys}}
    (tmp_path / "Pulumi.prod.yaml").write_text(yaml.safe_dump(only))
    assert load_environment("prod", Path()).name == "prod"


@pytest.mark.parametrize("text", ["config: [", "config: \t{}", "\x00"], ids=["open", "tab", "binary"])
def test_a_file_that_is_no_yaml_is_refused_with_its_path(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load_environment("prod", _folder(tmp_path, prod=text))
    assert refused.value.code == "config-unreadable"
    assert "Pulumi.prod.yaml" in refused.value.cause


def test_files_beside_are_read_as_the_other_environments(tmp_path: Path) -> None:
    document = config_document()
    folder = _folder(tmp_path, prod=yaml.safe_dump(document), dev=yaml.safe_dump(document))
    with pytest.raises(ConfigError, match="the dev environment's"):
        load_environment("prod", folder)


def test_the_model_has_no_name_of_an_installation() -> None:
    assert "tomoda" not in (ROOT / "dr" / "config" / "environment.py").read_text()
    assert Environment.model_fields["gcp_project"].is_required()
