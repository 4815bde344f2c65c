"""However a manifest is written: not a byte changes besides what has to."""

from itertools import product

import pytest

from dr.gitops.manifests import WHY_NO_BOOTSTRAP
from tests.support.manifests import BACKUP, CLUSTER, SERVICE, STORE, a_cluster, diff, only, refused, run


def test_a_cluster_is_renamed_and_loses_how_it_began_and_nothing_else_changes() -> None:
    after = only(CLUSTER)
    assert diff(CLUSTER, after) == [
        "-   name: 'postgres-prod'   # next to the name\n",
        "+   name: 'postgres-prod-recovered'   # next to the name\n",
        "-   bootstrap: # next to bootstrap\n",
        "-     # inside bootstrap\n",
        "-     recovery:\n",
        "-       source: origin\n",
        "-       recoveryTarget:\n",
        "-         targetTime: 2026-04-27T09:55:00Z\n",
        "-     # the last one inside\n",
        *(f"+   # {line}\n" for line in WHY_NO_BOOTSTRAP),
        "-   - name: origin   # served the recovery\n",
        "-     barmanObjectStore: {destinationPath: gs://old}\n",
        "-     # the end of origin\n",
        "+       serverName: postgres-prod-recovered\n",
    ]


def test_windows_line_ends_stay() -> None:
    after = only(CLUSTER.replace("\n", "\r\n"))
    assert after.replace("\r\n", "") == only(CLUSTER).replace("\n", "")


def test_several_documents_of_a_file_are_changed_each_in_its_place() -> None:
    # GIVEN a file with an end of document, an empty document and a foreign one among ours
    other = "kind: ConfigMap\ndata: {x: !Ref y,   z:   1}\n"
    text = f"---\n{CLUSTER}...\n---\n---\n{BACKUP}---\n{other}--- # the Service\n{SERVICE}"
    # WHEN it is rewritten
    after = only(text)
    # THEN each part is as it would be alone
    alone = [only(CLUSTER), run(a_cluster(), BACKUP).files[1].text, run(a_cluster(), SERVICE).files[1].text]
    assert after == f"---\n{alone[0]}...\n---\n---\n{alone[1]}---\n{other}--- # the Service\n{alone[2]}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("name: postgres-prod", "name: postgres-prod-recovered"),
        ('name: "postgres-prod" # why', 'name: "postgres-prod-recovered" # why'),
        ("name:    'postgres-prod'", "name:    'postgres-prod-recovered'"),
        ("name: &name postgres-prod", "name: &name postgres-prod-recovered"),
        ("name: !!str postgres-prod", "name: !!str postgres-prod-recovered"),
        ("name: >-\n    postgres-prod", "name: postgres-prod-recovered"),
        ("name:\n    postgres-prod", "name:\n    postgres-prod-recovered"),
        ('"name": postgres-prod', '"name": postgres-prod-recovered'),
    ],
)
def test_a_value_keeps_its_way_of_writing(before: str, after: str) -> None:
    text = a_cluster().replace("name: postgres-prod", before)
    assert f"\n  {after}\n" in only(text)


@pytest.mark.parametrize(
    ("server_name", "written"), [("2026", '"2026"'), ("on", '"on"'), ("a: b", '"a: b"'), ("pg-2", "pg-2")]
)
def test_a_value_that_would_read_as_something_else_is_quoted(server_name: str, written: str) -> None:
    assert f", serverName: {written}}}" in only(a_cluster(), server_name=server_name)


def test_an_alias_that_has_to_differ_is_written_out() -> None:
    spec = "  backup: {barmanObjectStore: {destinationPath: gs://b, serverName: *n}}\n"
    after = only(a_cluster(spec, name="&n postgres-prod"), server_name="folder")
    assert "serverName: folder}" in after
    assert "name: &n postgres-prod-recovered\n" in after


@pytest.mark.parametrize(
    "text",
    [
        # the name of something else would change with it
        a_cluster("  backup: {barmanObjectStore: {destinationPath: gs://b}}\n  other: *n\n", name="&n postgres-prod"),
        # the store is also another one's
        a_cluster("  backup: {barmanObjectStore: &s {destinationPath: gs://b}}\n  other: *s\n"),
        a_cluster("  other: &s {destinationPath: gs://b}\n  backup: {barmanObjectStore: *s}\n"),
        # what is taken away is needed elsewhere
        a_cluster("  bootstrap: &b {}\n  other: *b\n  backup: {barmanObjectStore: {destinationPath: gs://b}}\n"),
        # it comes from elsewhere
        a_cluster("  <<: {bootstrap: {initdb: {}}}\n  backup: {barmanObjectStore: {destinationPath: gs://b}}\n"),
        a_cluster("  ? bootstrap\n  : {}\n  backup: {barmanObjectStore: {destinationPath: gs://b}}\n"),
    ],
)
def test_what_cannot_be_changed_without_changing_something_else_is_refused(text: str) -> None:
    assert refused(text) == ["manifest-not-understood"]


def test_the_folder_of_the_archive_is_set_even_where_it_is_the_default() -> None:
    spec = "  backup:\n      barmanObjectStore:\n            serverName: old   # folder\n            destinationPath: gs://b\n"
    assert "            serverName: postgres-prod-recovered   # folder\n" in only(a_cluster(spec))
    without = a_cluster(spec.replace("            serverName: old   # folder\n", "").rstrip("\n"))
    assert (
        only(without)
        == without.replace("postgres-prod", "postgres-prod-recovered")
        + "\n            serverName: postgres-prod-recovered"
    )


@pytest.mark.parametrize(
    "style",
    [
        "  plugins:\n    - a\n  roles:\n  - b\n",
        "  snapshot:\n       className: csi\n  other:\n    a: b\n",
        '  affinity: [ "az" ]\n',
        "  monitor:\n    - { regex: cluster, action: labeldrop }\n",
        "  monitor:\n    - {\n      action: labeldrop,\n    }\n",
        "  store: &nobody_refers_to_it\n    a: b\n",
        "  store: \n    a: b\n      \n  c: d\n",
        "  a:   b    # one\n  long:  c  # two\n",
        "  text: >-\n    folded\n    twice\n",
    ],
    ids=[
        "two indents of sequences",
        "an odd indent",
        "spaces in brackets",
        "spaces in braces",
        "a flow mapping of several lines",
        "an anchor without an alias",
        "spaces at the ends of lines",
        "columns",
        "a folded text",
    ],
)
def test_how_manifests_in_public_repositories_are_written_stays(style: str) -> None:
    """What docs/adr/0007-manifests-are-spliced.md was decided by."""
    assert diff(a_cluster(style + STORE), only(a_cluster(style + STORE))) == [
        "-   name: postgres-prod\n",
        "+   name: postgres-prod-recovered\n",
    ]


def test_a_manifest_in_kubernetes_own_style_stays_in_it() -> None:
    """KYAML, which `kubectl get -o kyaml` writes: YAML in braces, with comments and commas at the ends."""
    before = """\
---
{
  apiVersion: "postgresql.cnpg.io/v1",
  kind: "Cluster",
  metadata: {
    name: "postgres-prod", # whose
  },
  spec: {
    # stays
    bootstrap: {
      recovery: {
        source: "old",
      },
    },
    backup: {
      barmanObjectStore: {
        serverName: "postgres-prod",
      },
    },
    instances: 3,
  },
}
"""
    assert diff(before, only(before)) == [
        *(f"+ # {line}\n" for line in WHY_NO_BOOTSTRAP),
        '-     name: "postgres-prod", # whose\n',
        '+     name: "postgres-prod-recovered", # whose\n',
        "-     bootstrap: {\n",
        "-       recovery: {\n",
        '-         source: "old",\n',
        "-       },\n",
        "-     },\n",
        '-         serverName: "postgres-prod",\n',
        '+         serverName: "postgres-prod-recovered",\n',
    ]


NAMES = ("postgres", "postgres.data")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "  certificates:\n    serverAltDNSNames:\n      - postgres\n      - postgres.data\n"),
        (
            "  x:\n  - a\n",
            "  certificates:\n    serverAltDNSNames:\n    - postgres\n    - postgres.data\n  x:\n  - a\n",
        ),
        ("  certificates:\n", "  certificates: {serverAltDNSNames: [postgres, postgres.data]}\n"),
        ("  certificates: {}\n", "  certificates: {serverAltDNSNames: [postgres, postgres.data]}\n"),
        ("  certificates: {a: b}\n", "  certificates: {a: b, serverAltDNSNames: [postgres, postgres.data]}\n"),
        (
            "  certificates:\n    a: b # why\n",
            "  certificates:\n    a: b # why\n    serverAltDNSNames:\n      - postgres\n      - postgres.data\n",
        ),
        (
            "  certificates:\n    serverAltDNSNames:\n    - postgres # own\n    # end\n  x: 1\n",
            "  certificates:\n    serverAltDNSNames:\n    - postgres # own\n    - postgres.data\n    # end\n  x: 1\n",
        ),
        (
            "  certificates:\n    serverAltDNSNames:\n    - other\n    - postgres\n    a: b\n",
            "  certificates:\n    serverAltDNSNames:\n    - postgres\n    - postgres.data\n    a: b\n",
        ),
        (
            "  certificates: {serverAltDNSNames: [postgres], a: b}\n",
            "  certificates: {serverAltDNSNames: [postgres, postgres.data], a: b}\n",
        ),
    ],
)
def test_the_names_of_the_certificate_are_the_live_ones(before: str, after: str) -> None:
    text = a_cluster(STORE + before, name="postgres-prod-recovered")
    assert only(text, alt_dns_names=NAMES) == a_cluster(STORE + after, name="postgres-prod-recovered")


def test_without_live_names_the_certificate_is_left_alone() -> None:
    text = a_cluster(STORE + "  certificates: {serverAltDNSNames: [x]}\n", name="postgres-prod-recovered")
    assert only(text) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  externalClusters: [{name: postgres-prod}]\n", ""),
        ("  externalClusters: []\n", ""),
        ("  externalClusters:\n    - name: postgres-prod\n", ""),
        ("  externalClusters: [{name: a}, {name: postgres-prod}]\n", "  externalClusters: [{name: a}]\n"),
        ("  externalClusters: [{name: postgres-prod}, {name: a}]\n", "  externalClusters: [{name: a}]\n"),
        ("  externalClusters: [{name: a}, {name: postgres-prod}, {name: b}]\n",
         "  externalClusters: [{name: a}, {name: b}]\n"),
        ("  externalClusters: [\n    {name: postgres-prod}, # gone\n    # of a\n    {name: a} # stays\n  ]\n",
         "  externalClusters: [\n    # of a\n    {name: a} # stays\n  ]\n"),
        ("  externalClusters: [\n    {name: a}, # stays\n    {name: postgres-prod} # gone\n  ]\n",
         "  externalClusters: [\n    {name: a}, # stays\n  ]\n"),
        ("  externalClusters:\n    # a\n    - name: a\n    # p\n    -   name: postgres-prod\n        x: []\n    # e\n",
         "  externalClusters:\n    # a\n    - name: a\n    # p\n    # e\n"),
        ("  externalClusters: [{name: postgres-prod}]\n  replica: {source: postgres-prod}\n",
         "  externalClusters: [{name: postgres-prod}]\n  replica: {source: postgres-prod}\n"),
    ],
)  # fmt: skip
def test_external_clusters_that_served_the_recovery_go_and_others_stay(before: str, after: str) -> None:
    text = a_cluster(STORE + before, name="postgres-prod-recovered")
    assert only(text) == a_cluster(STORE + after, name="postgres-prod-recovered")


def test_a_spec_in_flow_style_gets_its_comment_above() -> None:
    store = "backup: {barmanObjectStore: {destinationPath: gs://b}}"
    head = "apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {name: postgres-prod}\n"
    comment = "".join(f"# {line}\n" for line in WHY_NO_BOOTSTRAP)
    for before in (f"{{bootstrap: {{initdb: {{}}}}, {store}}}", f"{{{store}, bootstrap: {{initdb: {{}}}}}}"):
        after = only(f"{head}spec: {before}\n")
        new = store.replace("}}", ", serverName: postgres-prod-recovered}}")
        assert after == f"{head}{comment}spec: {{{new}}}\n".replace(
            "name: postgres-prod}", "name: postgres-prod-recovered}"
        )


_KEYS = {
    "bootstrap": ("", "  bootstrap:\n    recovery: {source: old} # b\n", "  bootstrap: {recovery: {source: old}}\n"),
    "external": (
        "",
        "  externalClusters:\n  - name: old\n    # e\n  - name: x\n",
        "  externalClusters: [{name: old}]\n",
    ),
    "backup": (
        "  backup: {barmanObjectStore: {destinationPath: gs://b,}}\n",
        "  backup:\n    barmanObjectStore:\n      destinationPath: gs://b # d\n    # f\n",
    ),
    "more": ("", "\n  # g\n  text: |+\n    a\n\n", "  certificates: # c\n    a: b\n"),
}


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 1, 3), (1, 3, 0, 2)])
@pytest.mark.parametrize("end", ["\n", ""])
def test_however_it_is_written_the_rest_stays_and_a_second_time_changes_nothing(
    order: tuple[int, ...], end: str
) -> None:
    # GIVEN every combination of ways to write the keys that change, in several orders, with and without a last newline
    for parts in product(*_KEYS.values()):
        before = a_cluster("".join(parts[place] for place in order)).rstrip("\n") + end
        # WHEN it is rewritten, and then again
        after = only(before, alt_dns_names=NAMES, former=("old", "postgres-prod"))
        # THEN what is gone is only what had to go, and comments of others are still there
        for comment in ("# d", "# f", "# g", "# c"):
            assert (comment in after) == (comment in before)
        for line in ("  text: |+\n    a\n", "    a: b", "  - name: x"):
            assert (line in after) == (line in before)
        assert "source: old" not in after
        assert "name: old" not in after
