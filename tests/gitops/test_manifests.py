"""Git's manifests after a recovery: what has to change does, and what cannot be changed safely is refused."""

from pathlib import Path
from string import Template

import pytest

from dr.core.errors import RefusedError
from dr.gitops.manifests import WHY_NO_BOOTSTRAP, ManifestFile, rewrite
from tests.support.manifests import (
    BACKUP,
    CLUSTER,
    HOST,
    SERVICE,
    STORE,
    WANTED,
    a_cluster,
    a_dependent,
    diff,
    only,
    refused,
    run,
)

LAB = Path(__file__).resolve().parents[2] / "lab" / "data" / "manifests" / "postgres"


@pytest.mark.parametrize("name", ["cluster.yaml", "backup.yaml", "service.yaml"])
def test_the_manifests_of_the_lab_change_where_they_have_to(name: str) -> None:
    values = {"cluster": "postgres-prod", "databases": "data", "environment": "prod", "service": "postgres"}
    values |= {"image": "pg:17", "database": "shop", "owner": "shop", "gcs": "http://gcs:1", "bucket": "b"}
    texts = {path.name: Template(path.read_text()).substitute(values) for path in sorted(LAB.glob("*.yaml"))}
    rewriting = rewrite([ManifestFile(path=path, text=text) for path, text in texts.items()], WANTED)
    after = {file.path: file.text for file in rewriting.files}
    assert (
        diff(texts[name], after[name])
        == {
            "cluster.yaml": [
                "-   name: postgres-prod\n",
                "+   name: postgres-prod-recovered\n",
                "-   bootstrap:\n",
                "-     initdb:\n",
                "-       database: shop\n",
                "-       owner: shop\n",
                "-       postInitApplicationSQLRefs:\n",
                "-         configMapRefs: [{name: postgres-seed, key: seed.sql}]\n",
                *(f"+   # {line}\n" for line in WHY_NO_BOOTSTRAP),
                "+       serverName: postgres-prod-recovered\n",
            ],
            "backup.yaml": [
                "- metadata: {name: postgres-prod, namespace: data}\n",
                "+ metadata: {name: postgres-prod-recovered, namespace: data}\n",
                "-   cluster: {name: postgres-prod}\n",
                "+   cluster: {name: postgres-prod-recovered}\n",
            ],
            "service.yaml": [
                "-   externalName: postgres-prod-rw.data.svc.cluster.local\n",
                f"+   externalName: {HOST}\n",
            ],
        }[name]
    )
    assert [document["kind"] for document in rewriting.documents] == ["ScheduledBackup", "Cluster", "Service"]
    assert rewriting.mentions == ()


def test_a_file_without_our_objects_is_neither_changed_nor_understood() -> None:
    rewriting = run(a_cluster(), "a: b: c\n", "{{ if .Values.x }}\nkind: Cluster\nname: other\n", "\x00", "")
    assert [file.path for file in rewriting.files] == ["db/0.yaml"]


def test_what_changes_is_told() -> None:
    new = WANTED.name
    rewriting = run(CLUSTER, BACKUP, SERVICE, alt_dns_names=("postgres",))
    assert rewriting.changes == (
        "db/0.yaml: Cluster postgres-prod becomes postgres-prod-recovered",
        "db/0.yaml: Cluster postgres-prod-recovered: archives to the folder postgres-prod-recovered",
        "db/0.yaml: Cluster postgres-prod-recovered: its certificate is made for postgres too",
        "db/0.yaml: Cluster postgres-prod-recovered: without its bootstrap, which is done",
        "db/0.yaml: Cluster postgres-prod-recovered: without the external cluster origin, which served its recovery",
        "db/1.yaml: ScheduledBackup postgres-prod-nightly becomes postgres-prod-recovered-nightly",
        f"db/1.yaml: ScheduledBackup {new}-nightly: is of the Cluster {new}, no longer of postgres-prod",
        f"db/2.yaml: Service postgres: leads to {HOST}, no longer to postgres-prod-rw.data.svc.cluster.local",
    )


def test_documents_are_plain_values_after_the_rewriting_and_times_in_them_are_text() -> None:
    store = "  backup: {barmanObjectStore: {destinationPath: gs://b}}\n"
    spec = f"{store}  since: 2026-04-27T09:55:00Z\n  at: 1:30\n  on: yes\n"
    (document,) = run(a_cluster(spec)).documents
    assert document == {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": "postgres-prod-recovered"},
        "spec": {
            "backup": {"barmanObjectStore": {"destinationPath": "gs://b", "serverName": "postgres-prod-recovered"}},
            "since": "2026-04-27T09:55:00Z",
            "at": "1:30",
            True: True,
        },
    }
    assert type(document) is dict
    assert type(document["metadata"]["name"]) is str


def test_an_external_cluster_that_a_subscription_needs_stays() -> None:
    text = a_cluster(STORE + "  externalClusters: [{name: postgres-prod}]\n", name="postgres-prod-recovered")
    subscription = a_dependent("Subscription", "s", "postgres-prod-recovered", "  externalClusterName: postgres-prod\n")
    rewriting = run(text, subscription)
    assert rewriting.files == ()
    assert len(rewriting.mentions) == 2


@pytest.mark.parametrize(
    ("name", "cluster", "after"),
    [
        ("postgres-prod", "postgres-prod", "postgres-prod-recovered"),
        ("postgres-prod-nightly", "postgres-prod", "postgres-prod-recovered-nightly"),
        ("postgres-production", "postgres-prod", "postgres-production"),
        ("nightly", "postgres-prod", "nightly"),
        ("postgres-prod-recovered-x", "postgres-prod", "postgres-prod-recovered-x"),
        ("postgres-first-x", "postgres-first", "postgres-prod-recovered-x"),
        ("postgres-prod", "postgres-prod-recovered", "postgres-prod"),
        ("postgres-prod", "another", "postgres-prod"),
    ],
)
def test_a_scheduled_backup_follows_its_cluster_and_so_does_a_name_made_of_it(
    name: str, cluster: str, after: str
) -> None:
    formers = ("postgres-first", "postgres-prod")
    rewriting = run(a_cluster(), a_dependent("ScheduledBackup", name, cluster), former=formers)
    new = "another" if cluster == "another" else "postgres-prod-recovered"
    texts = {file.path: file.text for file in rewriting.files}
    assert texts.get("db/1.yaml", a_dependent("ScheduledBackup", name, cluster)) == a_dependent(
        "ScheduledBackup", after, new
    )


@pytest.mark.parametrize("kind", ["Pooler", "Database", "Publication", "Subscription"])
def test_what_else_belongs_to_the_cluster_follows_it_and_keeps_its_name(kind: str) -> None:
    rewriting = run(a_cluster(), a_dependent(kind, "postgres-prod-x", more="  x: 1 # y\n"))
    assert rewriting.files[1].text == a_dependent(kind, "postgres-prod-x", "postgres-prod-recovered", "  x: 1 # y\n")
    assert rewriting.documents[1]["spec"] == {"cluster": {"name": "postgres-prod-recovered"}, "x": 1}


def test_objects_of_another_namespace_are_not_ours() -> None:
    elsewhere = [text.replace("namespace: data", "namespace: dev") for text in (BACKUP, SERVICE)]
    rewriting = run(a_cluster(), *elsewhere, a_cluster(name="postgres-prod\n  namespace: dev"))
    assert [file.path for file in rewriting.files] == ["db/0.yaml"]
    assert [document["kind"] for document in rewriting.documents] == ["Cluster"]


def test_a_service_may_be_missing() -> None:
    assert [document["kind"] for document in run(a_cluster(), BACKUP).documents] == ["Cluster", "ScheduledBackup"]


def test_a_service_that_is_not_external_is_refused() -> None:
    assert refused(a_cluster(), SERVICE.replace("ExternalName", "ClusterIP")) == ["manifest-service-not-external"]


def test_other_places_that_name_a_former_cluster_are_told_and_not_changed() -> None:
    monitor = (
        "kind: PodMonitor\nspec:\n  a: {cnpg.io/cluster: postgres-prod}\n  b: postgres-prod-recovered\n"
        "  c: my-postgres-prod\n  d: postgres-prod-rw.data\n  e: postgres-prod-app\n  f: postgres-production\n"
    )
    rewriting = run(CLUSTER, BACKUP, monitor, "{{ no YAML }}: postgres-prod: x")
    assert rewriting.mentions == (
        "db/2.yaml:3: a: {cnpg.io/cluster: postgres-prod}",
        "db/2.yaml:6: d: postgres-prod-rw.data",
        "db/2.yaml:7: e: postgres-prod-app",
        "db/3.yaml:1: {{ no YAML }}: postgres-prod: x",
    )


def test_no_file_is_refused() -> None:
    assert refused() == ["manifest-missing"]


@pytest.mark.parametrize(
    "text",
    [
        "{{- if .Values.database }}\nkind: Cluster\nmetadata:\n  name: postgres-prod\n{{- end }}\n",
        a_cluster("  instances: {{ .Values.instances }}\n"),
        a_cluster("  a: b: c\n"),
        a_cluster("  a: 1\n  a: 2\n"),
        a_cluster("\tinstances: 1\n"),
        a_cluster().split("spec:")[0],
        a_cluster().split("spec:")[0] + "spec:\n",
        a_cluster("  backup: {}\n"),
        a_cluster("  plugins: []\n"),
        "kind: List\nitems:\n- " + a_cluster().replace("\n", "\n  ").rstrip() + "\n",
        "kind: ClusterList\nitems:\n- " + a_cluster().replace("\n", "\n  ").rstrip() + "\n",
    ],
)
def test_a_cluster_that_is_not_understood_is_refused(text: str) -> None:
    assert refused(text) == ["manifest-not-understood"]


@pytest.mark.parametrize("text", [BACKUP, SERVICE, a_cluster(name="other"), "# nothing\n"])
def test_manifests_without_the_cluster_are_refused(text: str) -> None:
    assert refused(text) == ["manifest-without-cluster"]


def test_a_template_that_may_be_it_is_named() -> None:
    with pytest.raises(RefusedError, match=r"db/0\.yaml cannot be read as plain YAML"):
        run("kind: Cluster\nmetadata: {name: {{ .Values.name }}}\n")


@pytest.mark.parametrize(
    "texts",
    [
        (a_cluster(), a_cluster()),
        (a_cluster(), a_cluster(name="postgres-prod-recovered")),
        (a_cluster(), a_dependent("ScheduledBackup", "postgres-prod"), a_dependent("ScheduledBackup", WANTED.name)),
    ],
)
def test_more_than_one_that_could_be_meant_is_refused(texts: tuple[str, ...]) -> None:
    assert refused(*texts) == ["manifest-ambiguous"]


def test_all_reasons_are_told_at_once() -> None:
    service = SERVICE.replace("ExternalName", "ClusterIP")
    codes = ["manifest-not-understood", "manifest-ambiguous", "manifest-service-not-external"]
    assert refused("a: b: c\nkind: Cluster # postgres-prod\n", a_cluster(), a_cluster(), service) == codes


PLUGGED = """\
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: postgres-prod}
spec:
  instances: 3
  plugins:
    - name: something.else
    - name: barman-cloud.cloudnative-pg.io  # the archive
      isWALArchiver: true
      parameters:
        barmanObjectName: prod-store  # where to
"""
PLUGGED_BACKUP = """\
apiVersion: postgresql.cnpg.io/v1
kind: ScheduledBackup
metadata: {name: postgres-prod}
spec:
  schedule: "0 0 3 * * *"
  method: plugin
  pluginConfiguration: {name: barman-cloud.cloudnative-pg.io}
  cluster: {name: postgres-prod}
"""


def test_of_a_cluster_that_archives_by_the_plugin_the_plugins_parameter_is_changed() -> None:
    assert diff(PLUGGED, only(PLUGGED)) == [
        "- metadata: {name: postgres-prod}\n",
        "+ metadata: {name: postgres-prod-recovered}\n",
        "+         serverName: postgres-prod-recovered\n",
    ]


def test_parameters_in_one_line_are_changed_in_that_line() -> None:
    before = PLUGGED.replace(
        "parameters:\n        barmanObjectName: prod-store  # where to", "parameters: {barmanObjectName: s}"
    )
    assert "parameters: {barmanObjectName: s, serverName: postgres-prod-recovered}" in only(before)


def test_a_scheduled_backup_by_the_plugin_stays_one() -> None:
    rewriting = run(PLUGGED, PLUGGED_BACKUP)
    backup = next(document for document in rewriting.documents if document["kind"] == "ScheduledBackup")
    assert backup["spec"]["method"] == "plugin"
    assert backup["spec"]["pluginConfiguration"] == {"name": "barman-cloud.cloudnative-pg.io"}
    assert backup["spec"]["cluster"] == {"name": "postgres-prod-recovered"}


def test_a_cluster_that_archives_by_neither_is_not_understood() -> None:
    text = PLUGGED.replace("isWALArchiver: true", "isWALArchiver: false")
    with pytest.raises(RefusedError, match="WAL archiver"):
        run(text)
