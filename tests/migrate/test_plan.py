"""From the in-tree object store to the plugin: what of Git changes, and that nothing else does."""

from string import Template
from typing import Any

import pytest
import yaml

from dr.core.commands import ANY_RUN, CommandLines
from dr.core.errors import RefusedError
from dr.gitops.manifests import ManifestFile
from dr.migrate.plan import PluginMigration, migrate
from lab.data import content
from lab.data.environments import ENVIRONMENTS
from tests.support.builders import an_environment
from tests.support.manifests import diff

PLUGIN = "barman-cloud.cloudnative-pg.io"
CLUSTER = """\
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: postgres-prod, namespace: data}
spec:
  instances: 3  # three zones
  # Above backup.
  backup:
    # How long.
    retentionPolicy: 30d
    barmanObjectStore:
      # Where to.
      destinationPath: gs://bucket/prod  # the folder
      serverName: postgres-prod-7
      googleCredentials:
        gkeEnvironment: true
      wal: {compression: gzip}
  # Above storage.
  storage: {size: 10Gi}
"""
BACKUP = """\
apiVersion: postgresql.cnpg.io/v1
kind: ScheduledBackup
metadata: {name: nightly}
spec:
  schedule: "0 0 3 * * *"  # daily
  cluster: {name: postgres-prod}
"""


def run(*texts: str, **more: str) -> PluginMigration:
    files = [ManifestFile(path=f"db/{number}.yaml", text=text) for number, text in enumerate(texts)]
    files += [ManifestFile(path=path.replace("_", "."), text=text) for path, text in more.items()]
    return migrate(files, cluster="postgres-prod", namespace="data", commands=an_environment().commands)


def written(*texts: str, **more: str) -> dict[str, str]:
    return {file.path: file.text for file in run(*texts, **more).files}


def store(*texts: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(written(*texts)["db/objectstore.yaml"])
    return found


def test_the_cluster_gets_the_plugin_in_place_of_its_backup_section_and_nothing_else_changes() -> None:
    assert diff(CLUSTER, written(CLUSTER)["db/0.yaml"]) == [
        "-   backup:\n",
        "-     # How long.\n",
        "-     retentionPolicy: 30d\n",
        "-     barmanObjectStore:\n",
        "-       # Where to.\n",
        "-       destinationPath: gs://bucket/prod  # the folder\n",
        "-       serverName: postgres-prod-7\n",
        "-       googleCredentials:\n",
        "-         gkeEnvironment: true\n",
        "-       wal: {compression: gzip}\n",
        "+   plugins:\n",
        f"+     - name: {PLUGIN}\n",
        "+       isWALArchiver: true\n",
        "+       parameters:\n",
        "+         barmanObjectName: postgres-prod\n",
        "+         serverName: postgres-prod-7\n",
    ]


def test_the_object_store_is_the_section_as_it_was_written_without_the_server_name() -> None:
    assert written(CLUSTER)["db/objectstore.yaml"] == (
        "# Where postgres-prod archives to, by the Barman Cloud plugin.\n"
        "apiVersion: barmancloud.cnpg.io/v1\n"
        "kind: ObjectStore\n"
        "metadata:\n"
        "  name: postgres-prod\n"
        "  namespace: data\n"
        "spec:\n"
        "  retentionPolicy: 30d\n"
        "  configuration:\n"
        "    # Where to.\n"
        "    destinationPath: gs://bucket/prod  # the folder\n"
        "    googleCredentials:\n"
        "      gkeEnvironment: true\n"
        "    wal: {compression: gzip}\n"
    )


def test_without_a_server_name_the_clusters_own_is_written_out() -> None:
    text = CLUSTER.replace("      serverName: postgres-prod-7\n", "")
    cluster = yaml.safe_load(written(text)["db/0.yaml"])
    assert cluster["spec"]["plugins"][0]["parameters"]["serverName"] == "postgres-prod"
    assert "serverName" not in store(text)["spec"]["configuration"]


@pytest.mark.parametrize(
    "section",
    [
        "  backup: {retentionPolicy: 30d, barmanObjectStore: {destinationPath: gs://b, serverName: postgres-prod-7}}\n",
        (
            "  backup:\n    barmanObjectStore: {destinationPath: gs://b, serverName: postgres-prod-7}\n"
            "    retentionPolicy: 30d\n"
        ),
        (
            "  backup:\n    retentionPolicy: 30d\n    barmanObjectStore:\n        destinationPath: gs://b\n"
            "        serverName: postgres-prod-7\n"
        ),
    ],
    ids=["flow", "flow inside", "deep"],
)
def test_however_the_section_is_written_it_says_the_same(section: str) -> None:
    text = f"{CLUSTER.partition('  # Above backup.')[0]}{section}"
    made = store(text)["spec"]
    assert made == {"retentionPolicy": "30d", "configuration": {"destinationPath": "gs://b"}}
    spec = yaml.safe_load(written(text)["db/0.yaml"])["spec"]
    assert set(spec) == {"instances", "plugins"}


def test_what_else_the_backup_section_says_stays() -> None:
    text = CLUSTER.replace("    # How long.\n", "    target: primary\n    # How long.\n")
    assert yaml.safe_load(written(text)["db/0.yaml"])["spec"]["backup"] == {"target": "primary"}


def test_the_sidecar_gets_the_variables_that_barman_had_in_the_instance() -> None:
    text = CLUSTER + "  env: [{name: HTTPS_PROXY, value: 'http://proxy:3128'}]\n"
    env = [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]
    assert store(text)["spec"]["instanceSidecarConfiguration"] == {"env": env}
    assert yaml.safe_load(written(text)["db/0.yaml"])["spec"]["env"] == env


@pytest.mark.parametrize("method", ["", "  method: barmanObjectStore\n"], ids=["default", "named"])
def test_scheduled_backups_go_by_the_plugin(method: str) -> None:
    spec = yaml.safe_load(written(CLUSTER, BACKUP + method)["db/1.yaml"])["spec"]
    assert (spec["method"], spec["pluginConfiguration"]) == ("plugin", {"name": PLUGIN})
    assert spec["cluster"] == {"name": "postgres-prod"}


def test_volume_snapshots_stay_as_they_are() -> None:
    assert "db/1.yaml" not in written(CLUSTER, BACKUP + "  method: volumeSnapshot\n")


def test_a_listing_that_names_the_cluster_names_the_object_store_too() -> None:
    listing = "resources:\n  - 0.yaml  # the database\n"
    files = written(CLUSTER, **{"db/kustomization_yaml": listing})
    assert files["db/kustomization.yaml"] == f"{listing}  - objectstore.yaml\n"


def test_both_archivers_at_once_are_never_written() -> None:
    for environment in ENVIRONMENTS:
        values = content.values_of(environment)
        paths = content.files_of(environment, "postgres")
        files = [ManifestFile(path=path.name, text=Template(path.read_text()).substitute(values)) for path in paths]
        found = migrate(files, cluster=environment.cluster, namespace="data", commands=ANY_RUN)
        after = {file.path: yaml.safe_load(file.text) for file in found.files}
        assert set(after) == {"backup.yaml", "cluster.yaml", "objectstore.yaml"}
        assert "barmanObjectStore" not in str(after["cluster.yaml"])


def test_the_labs_own_manifests_become_those_that_the_lab_has_for_the_plugin() -> None:
    dev = ENVIRONMENTS[0]
    values = content.values_of(dev)
    texts = {
        by_plugin: {
            path.name: Template(path.read_text()).substitute(values)
            for path in content.files_of(dev, "postgres", by_plugin=by_plugin)
        }
        for by_plugin in (False, True)
    }
    files = [ManifestFile(path=path, text=text) for path, text in texts[False].items()]
    found = migrate(files, cluster=dev.cluster, namespace="data", commands=CommandLines(environment="dev"))
    made = {file.path: yaml.safe_load(file.text) for file in found.files}
    wanted = {path: yaml.safe_load(text) for path, text in texts[True].items()}
    assert made["objectstore.yaml"] == wanted["objectstore.yaml"]
    assert made["backup.yaml"] == wanted["backup.yaml"]
    made["cluster.yaml"]["spec"]["plugins"][0]["parameters"].pop("serverName")
    made["cluster.yaml"]["spec"].pop("env")
    assert made["cluster.yaml"] == wanted["cluster.yaml"]


def test_what_is_changed_is_told_and_what_is_to_be_seen_to() -> None:
    found = run(CLUSTER, BACKUP)
    assert len(found.changes) == 4
    assert "postgres-prod-7" in " ".join(found.changes)
    checks = " ".join(found.checks)
    for word in ("restarted", "180 s", "ContinuousArchiving", "python -m dr window --env prod", "serverRecoveryWindow"):
        assert word in checks
    assert found.message("prod").startswith("postgres-prod of prod archives by the Barman Cloud plugin\n\n")


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("manifest-missing", ()),
        ("manifest-without-cluster", (BACKUP,)),
        ("plugin-used-already", (written(CLUSTER)["db/0.yaml"],)),
        ("manifest-not-understood", (CLUSTER + "  plugins: [{name: other.test}]\n",)),
        ("manifest-not-understood", (CLUSTER, CLUSTER.replace("name: postgres-prod", "name: [postgres-prod"))),
    ],
    ids=str,
)
def test_what_cannot_be_changed_safely_is_refused(code: str, texts: tuple[str, ...]) -> None:
    with pytest.raises(RefusedError) as refused:
        run(*texts)
    assert [problem.code for problem in refused.value.problems] == [code]


def test_a_file_that_is_there_already_is_not_overwritten() -> None:
    with pytest.raises(RefusedError, match="is there already"):
        run(CLUSTER, **{"db/objectstore_yaml": "kind: ConfigMap\n"})
