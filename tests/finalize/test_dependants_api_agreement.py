"""Both directions: what a recovery changes of a Cluster's specification, and what Git says of it after a finalize."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
import yaml

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.recovered import DERIVED, InGit, answer_in_git, derive_recovered_cluster, recovered_from
from dr.finalize.dependants_api import dry_run_differences
from dr.gitops.manifests import Canonical, ManifestFile, rewrite
from dr.kube.api import KubernetesApi
from tests.support.builders import TARGET, cluster_object
from tests.support.doubles import Asked, KubernetesDouble, serving

CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
OWN_PODS = {"cnpg.io/cluster": "postgres-prod"}
OTHER_PLUGIN = {"name": "other.acme.test", "parameters": {"minutes": "30"}}
BARMAN = {"name": "barman-cloud.cloudnative-pg.io", "isWALArchiver": True, "parameters": {"barmanObjectName": "store"}}
STORE = {"destinationPath": "gs://backups/prod", "wal": {"maxParallel": 8}}
IN_TREE = {"backup": {"barmanObjectStore": STORE, "retentionPolicy": "30d"}}
LEGACY = {"name": "legacy", "connectionParameters": {"host": "db.acme.test", "user": "repl"}}
HERE = {"name": "here", "barmanObjectStore": {**STORE, "serverName": "postgres-prod"}}
IMPORT = {"initdb": {"import": {"type": "microservice", "source": {"externalCluster": "legacy"}}, "database": "shop"}}
EVERYTHING: dict[str, Any] = {
    **IN_TREE,
    "bootstrap": {"initdb": {"database": "shop", "owner": "shop"}},
    "description": "the shop's database",
    "probes": {"startup": {"periodSeconds": 5}},
    "topologySpreadConstraints": [{"maxSkew": 1, "labelSelector": {"matchLabels": OWN_PODS}}],
    "affinity": {
        "additionalPodAntiAffinity": {
            "matchExpressions": [{"key": "cnpg.io/cluster", "values": ["postgres-prod", "x"]}]
        }
    },
    "managed": {
        "roles": [{"name": "reader"}],
        "services": {"disabledDefaultServices": ["ro"], "additional": [{"selectorType": "rw"}]},
    },
    "plugins": [OTHER_PLUGIN],
    "externalClusters": [LEGACY, HERE],
    "replica": {"primary": "here", "self": "here", "source": "legacy"},
    "certificates": {"serverAltDNSNames": ["pg.acme.test"]},
    "instances": 3,
}


class _Applying(KubernetesDouble):
    """Answers a patch as the API server does: a merge patch (RFC 7396), and CloudNativePG's webhook on the result."""

    def _answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        if asked.method != "PATCH":
            return super()._answer(asked)
        there = self.objects[asked.path]
        then = _patched(there["spec"], asked.body["spec"])
        known = [one["name"] for one in then.get("externalClusters") or ()]
        if recovered_from(then) not in known:  # ``validateBootstrapRecoverySource``
            return 422, {"message": "External cluster not found"}
        return 200, {**there, "spec": then}


def _patched(value: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    kept = dict(value) if isinstance(value, dict) else {}
    for key, new in patch.items():
        kept[key] = _patched(kept.get(key), new)
    return {key: new for key, new in kept.items() if new is not None}


@pytest.fixture
def wire(own_home: object) -> Iterator[_Applying]:
    with serving(_Applying()) as world:
        yield world


def _seen(name: str, spec: Mapping[str, Any]) -> ClusterSnapshot:
    raw = {**cluster_object(name), "spec": deepcopy(dict(spec))}
    return ClusterSnapshot.from_object(raw).with_object_store(STORE)


def _recovered(source: ClusterSnapshot, name: str = "postgres-prod-recovered") -> dict[str, Any]:
    assert source.store is not None
    made = derive_recovered_cluster(
        source, source.store, name=name, server_name=name, target=TARGET, limit=timedelta(), aliases=("db",)
    )
    assert made.server_name == name
    return dict(made.manifest["spec"])


def _git_says(
    api: KubernetesApi, wire: _Applying, text: str, live: dict[str, Any], former: ClusterSnapshot, name: str
) -> tuple[str, list[str], list[str]]:
    """The rewritten text, and what applying it would change of ``live``: what should stay, and what should come."""
    origin = [one for one in live["externalClusters"] if one["name"] == recovered_from(live)]
    wanted = Canonical(
        name=name,
        namespace="data",
        server_name=name,
        host="h",
        service="db",
        alt_dns_names=tuple(live["certificates"]["serverAltDNSNames"]),
        former=(former.name,),
        served=(recovered_from(former.spec),),
        origin=origin[0],
    )
    rewriting = rewrite([ManifestFile(path="cluster.yaml", text=text)], wanted)
    wire.keep(f"{CLUSTERS}/{name}", {"metadata": {"name": name}, "spec": live})
    (document,) = rewriting.documents
    others, later = dry_run_differences(api, document, namespace="data")
    return rewriting.files[0].text, list(others), list(later)


def _manifest(name: str, spec: Mapping[str, Any]) -> str:
    metadata = {"name": name, "namespace": "data"}
    return yaml.safe_dump(
        {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": metadata, "spec": dict(spec)},
        sort_keys=False,
    )


def _paths(here: Any, there: Any, path: str = "") -> Iterator[str]:
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        for key in {*here, *there}:
            yield from _paths(here.get(key), there.get(key), f"{path}.{key}" if path else key)
    elif here != there:
        yield path


@pytest.mark.parametrize(
    "archive", [{}, {"plugins": [OTHER_PLUGIN, BARMAN], "backup": None}], ids=["in-tree", "plugin"]
)
def test_every_field_that_a_recovery_changes_has_its_answer(archive: dict[str, Any]) -> None:
    """C2: each is written to Git, or applied from Git later, or not said by Git at all."""
    source = _seen("postgres-prod", {**EVERYTHING, **archive})
    changed = set(_paths(source.spec, _recovered(source)))
    assert changed
    assert {field for field in changed if answer_in_git(field) is None} == set()


def test_no_answer_is_for_a_field_that_no_recovery_changes() -> None:
    """C2: but for what Git need not say, the table has no line too many."""
    in_tree, plugin = (
        _seen("postgres-prod", EVERYTHING | more) for more in ({}, {"plugins": [BARMAN], "backup": None})
    )
    changed = {field for one in (in_tree, plugin) for field in _paths(one.spec, _recovered(one))}
    unsaid = {known for known, answer in DERIVED.items() if answer is InGit.UNSAID}
    assert {known for known in DERIVED if not any(f"{field}.".startswith(f"{known}.") for field in changed)} <= unsaid


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    **{key: {key: EVERYTHING[key]} for key in ("description", "probes", "topologySpreadConstraints", "affinity")},
    **{key: {key: EVERYTHING[key]} for key in ("managed", "plugins", "externalClusters", "certificates")},
    "the source of an import": {"externalClusters": [LEGACY], "bootstrap": IMPORT},
    "a distributed topology": {key: EVERYTHING[key] for key in ("replica", "externalClusters")},
    "a plugin and Barman's": {"plugins": [OTHER_PLUGIN, BARMAN], "backup": None},
    "everything": EVERYTHING,
}


@pytest.mark.parametrize("extra", CASES.values(), ids=CASES)
def test_git_and_the_recovered_cluster_agree_after_the_change(
    api: KubernetesApi, wire: _Applying, extra: dict[str, Any]
) -> None:
    """C2: finalize refused with ``git-disagrees``, in its first run, for what the recovery itself had changed."""
    spec = {key: value for key, value in {**IN_TREE, "instances": 3, **extra}.items() if value is not None}
    # GIVEN a Cluster of this manifest, recovered
    source = _seen("postgres-prod", spec)
    live = _recovered(source)
    # THEN nothing of it would be changed but what should
    manifest = _manifest("postgres-prod", spec)
    text, others, later = _git_says(api, wire, manifest, live, source, "postgres-prod-recovered")
    assert others == []
    expected = {"description", "managed", "replica"} & extra.keys()
    assert {known for known in ("description", "managed", "replica") if f"spec.{known}" in str(later)} == expected
    # AND so it is after the next recovery, from what Git says now
    source = _seen("postgres-prod-recovered", _patched(live, yaml.safe_load(text)["spec"]))
    live = _recovered(source, "postgres-prod-recovered-2")
    assert _git_says(api, wire, text, live, source, "postgres-prod-recovered-2")[1] == []


def test_a_section_that_would_make_a_replica_of_it_is_a_difference(api: KubernetesApi, wire: _Applying) -> None:
    """C2: by its new name it would follow the Cluster that is deleted."""
    spec = {**IN_TREE, "externalClusters": [LEGACY], "replica": {"primary": "postgres-prod", "source": "legacy"}}
    source = _seen("postgres-prod", spec)
    text = _manifest("postgres-prod", spec)
    _, others, _ = _git_says(api, wire, text, _recovered(source), source, "postgres-prod-recovered")
    assert [words.split(" is ")[0] for words in others] == [
        "Cluster postgres-prod-recovered: spec.replica.primary",
        "Cluster postgres-prod-recovered: spec.replica.source",
    ]
