"""Manifests as people write them, and what comes of rewriting them."""

import difflib
from dataclasses import replace
from typing import Any

import pytest

from dr.core.errors import RefusedError
from dr.gitops.manifests import Canonical, ManifestFile, Rewriting, rewrite

HOST = "postgres-prod-recovered-rw.data.svc.cluster.local"
WANTED = Canonical(
    name="postgres-prod-recovered",
    namespace="data",
    server_name="postgres-prod-recovered",
    host=HOST,
    service="postgres",
    former=("postgres-prod",),
)
STORE = "  backup: {barmanObjectStore: {destinationPath: gs://b, serverName: postgres-prod-recovered}}\n"
"""The end of a Cluster's spec that says already where it archives to."""
CLUSTER = """\
# Of the whole file.
apiVersion: postgresql.cnpg.io/v1   # the API
kind: Cluster
metadata:
  # Above the name.
  name: 'postgres-prod'   # next to the name
  labels:    {app: shop,   tier: "db"}
spec:

  instances: 3
  # Above bootstrap.
  bootstrap: # next to bootstrap
    # inside bootstrap
    recovery:
      source: origin
      recoveryTarget:
        targetTime: 2026-04-27T09:55:00Z
    # the last one inside

  # Above externalClusters.
  externalClusters:
  - name: origin   # served the recovery
    barmanObjectStore: {destinationPath: gs://old}
    # the end of origin
  # Above the archive.
  - name: archive
    connectionParameters: { host: far.test,
                            user: reader }
  # Above backup.
  backup:
    retentionPolicy: 30d
    barmanObjectStore:
      destinationPath: gs://bucket/prod # where to
      wal: {compression: gzip}
    # the end of backup
  # Above parameters.
  postgresql:
    parameters:
      long: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb ccccc ddd"
      nothing: ~
      text: |
        a: 1
          # no comment
# The end.
"""
BACKUP = """\
apiVersion: postgresql.cnpg.io/v1
kind: ScheduledBackup
metadata: {name: postgres-prod-nightly, namespace: data}
spec:
  schedule: "0 0 3 * * *"
  cluster: { name: "postgres-prod" }  # whose
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: postgres, namespace: data}
spec: {type: ExternalName, externalName: postgres-prod-rw.data.svc.cluster.local}
"""


def run(*texts: str, **more: Any) -> Rewriting:
    files = [ManifestFile(path=f"db/{number}.yaml", text=text) for number, text in enumerate(texts)]
    return rewrite(files, replace(WANTED, **more))


def only(text: str, **more: Any) -> str:
    """The new text of a single file, which says the same when it is rewritten again."""
    rewriting = run(text, **more)
    new = rewriting.files[0].text if rewriting.files else text
    again = run(new, **more)
    assert (again.files, again.changes, again.documents) == ((), (), rewriting.documents)
    return new


def diff(before: str, after: str) -> list[str]:
    """The lines that went and came, with their ends."""
    lines = difflib.unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), n=0)
    return [f"{line[0]} {line[1:]}" for line in lines if not line.startswith(("---", "+++", "@@"))]


def refused(*texts: str, **more: Any) -> list[str]:
    with pytest.raises(RefusedError) as raised:
        run(*texts, **more)
    assert all(problem.cause and problem.remedy for problem in raised.value.problems)
    return [problem.code for problem in raised.value.problems]


def a_cluster(
    spec: str = "  backup: {barmanObjectStore: {destinationPath: gs://b}}\n", name: str = "postgres-prod"
) -> str:
    return f"apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata:\n  name: {name}\nspec:\n{spec}"


def a_dependent(kind: str, name: str, cluster: str = "postgres-prod", more: str = "") -> str:
    head = f"apiVersion: postgresql.cnpg.io/v1\nkind: {kind}\nmetadata:\n  name: {name}\n"
    return f"{head}spec:\n  cluster:\n    name: {cluster}\n{more}"
