"""The recovered ``Cluster``, derived from its source, with what has to be adapted under another name. Pure.

CloudNativePG never recovers in place (docs, "Recovery"): a new Cluster is bootstrapped from the old one's backups. To
be a stand-in for the source it has to be like it: the same binary, parameters no lower than the source's (PostgreSQL
refuses to replay otherwise), as much storage, the same place to run. So everything in the source's live specification
is kept, but for what belongs to the source alone.

CloudNativePG names everything after the Cluster, its pods' label and its service account among them; and a
specification may name Secrets, which no backup holds.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dr.archive.snapshots import SnapshotBackup
from dr.cnpg.cluster import TARGET_ANNOTATION, ClusterSnapshot, ObjectStore, PluginArchive
from dr.core.target import RecoveryTarget, written
from dr.kube.objects import MANAGED_BY

SOURCE_ANNOTATION = "postgres-dr/recovered-from"

_SOURCE_ONLY = {
    "bootstrap": "how the source itself began",
    "externalClusters": "where the source itself came from",
    "replica": "a recovered cluster is a primary",
    "backup": "rewritten below, with a serverName of its own",
    "plugins": "the source's archive belongs to the source",
}


@dataclass(frozen=True, kw_only=True)
class RecoveredCluster:
    """The declaration of one recovered Cluster: the whole object, and how long it may take to become ready."""

    manifest: Mapping[str, Any]
    limit: timedelta

    @property
    def name(self) -> str:
        """The Cluster's name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The Cluster's namespace."""
        return str(self.manifest["metadata"]["namespace"])

    @property
    def target(self) -> str:
        """The recovery target, as written down."""
        return str(self.manifest["metadata"]["annotations"][TARGET_ANNOTATION])

    @property
    def server_name(self) -> str:
        """The folder of the object store that this Cluster archives to."""
        spec = self.manifest["spec"]
        if plugins := spec.get("plugins"):
            return str(plugins[0]["parameters"]["serverName"])
        return str(spec["backup"]["barmanObjectStore"]["serverName"])

    @property
    def host(self) -> str:
        """The DNS name of its read-write Service."""
        return f"{self.name}-rw.{self.namespace}.svc.cluster.local"


def app_secret_name(recovered: str) -> str:
    """The Secret that holds the owner's password for the recovered Cluster.

    It is named as the one that CloudNativePG would generate, so that the deletion of the source Cluster, which takes
    the source's own Secret with it (owner reference), leaves the recovered one with a password.
    """
    return f"{recovered}-app"


def derive_recovered_cluster(
    source: ClusterSnapshot,
    store: ObjectStore,
    *,
    name: str,
    server_name: str,
    target: RecoveryTarget | None,
    limit: timedelta,
    aliases: Sequence[str] = (),
    base: str = "",
    snapshot: SnapshotBackup | None = None,
) -> RecoveredCluster:
    """The Cluster ``name`` that recovers ``source`` to ``target``, or to the end of the WAL, from ``store``.

    It archives to ``server_name``, which has to be an empty folder of the same store: two writers in one WAL archive
    would make both useless, and CloudNativePG refuses an archive that is not empty. It archives in the way the source
    does, in-tree or by the plugin. ``aliases`` are other names that clients reach it by: its certificate is made for
    those too. ``base`` is the base backup to start from, so that it is the one that was agreed to: CloudNativePG
    alone would also take one that has failed. ``snapshot`` is the same where it is made of volume snapshots.
    """
    spec = deepcopy({key: value for key, value in source.spec.items() if key not in _SOURCE_ONLY})
    spec = rescheduled(spec, source=source.name, name=name)
    if source.image and "imageCatalogRef" not in spec:
        spec["imageName"] = source.image
    if managed := spec.get("managed"):
        # Managed Services have names of their own, which the source holds; managed roles are database content.
        spec["managed"] = {key: value for key, value in managed.items() if key != "services"}
    spec |= {
        "probes": probed_often(source.spec),
        "description": f"{source.name} recovered to {target or 'the end of its WAL'}",
        "bootstrap": {
            "recovery": {
                "source": source.name,
                "database": source.database,
                "owner": source.owner,
                "secret": {"name": app_secret_name(name)},
                **({"recoveryTarget": wanted} if (wanted := _target_from(target, "" if snapshot else base)) else {}),
                **({"volumeSnapshots": snapshot.manifest} if snapshot else {}),
            }
        },
    }
    spec |= _by_plugin(source, source.plugin, server_name) if source.plugin else _in_tree(source, store, server_name)
    certificates = deepcopy(dict(spec.get("certificates") or {}))
    if aliases and "serverTLSSecret" not in certificates:
        # A certificate that is given is given with its names.
        known = certificates.get("serverAltDNSNames") or []
        certificates["serverAltDNSNames"] = list(dict.fromkeys([*known, *aliases]))
        spec["certificates"] = certificates
    manifest = {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {
            "name": name,
            "namespace": source.namespace,
            "labels": dict(MANAGED_BY),
            "annotations": {TARGET_ANNOTATION: written(target), SOURCE_ANNOTATION: source.name},
        },
        "spec": spec,
    }
    return RecoveredCluster(manifest=manifest, limit=limit)


def _target_from(target: RecoveryTarget | None, base: str) -> Mapping[str, Any]:
    """The ``recoveryTarget``: where to stop, and always the ID of the base backup that was planned, if it has one."""
    return {**({"backupID": base} if base else {}), **(target.manifest if target else {})}


def _in_tree(source: ClusterSnapshot, store: ObjectStore, server_name: str) -> dict[str, Any]:
    """Where it comes from and where it archives to, by CloudNativePG's own Barman support."""
    origin = {**deepcopy(dict(store.definition)), "serverName": store.server_name}
    own = {**deepcopy(dict(store.definition)), "serverName": server_name}
    return {
        "externalClusters": [{"name": source.name, "barmanObjectStore": origin}],
        "backup": {**_rest_of_backup(source), "barmanObjectStore": own},
    }


def _by_plugin(source: ClusterSnapshot, plugin: PluginArchive, server_name: str) -> dict[str, Any]:
    """The same by the Barman Cloud plugin. Without a serverName it would take the new Cluster's own name for both."""
    entry = deepcopy(dict(plugin.entry))
    known = entry.get("parameters") or {}
    origin = {"name": entry["name"], "parameters": {**known, "serverName": plugin.server_name}}
    backup = _rest_of_backup(source)
    return {
        "externalClusters": [{"name": source.name, "plugin": origin}],
        "plugins": [{**entry, "parameters": {**known, "serverName": server_name}}],
        **({"backup": backup} if backup else {}),
    }


def _rest_of_backup(source: ClusterSnapshot) -> dict[str, Any]:
    backup = source.spec.get("backup") or {}
    return deepcopy({key: value for key, value in backup.items() if key != "barmanObjectStore"})


CLUSTER_LABEL = "cnpg.io/cluster"
_SCHEDULING = ("affinity", "topologySpreadConstraints")
_GOOGLE_ACCOUNT = "iam.gke.io/gcp-service-account"
_CERTIFICATES = ("serverCASecret", "serverTLSSecret", "clientCASecret", "replicationTLSSecret")


def rescheduled(spec: Mapping[str, Any], *, source: str, name: str) -> dict[str, Any]:
    """``spec`` with scheduling rules that are about the source's own pods made about those of ``name``.

    Left as they are, they would keep the recovered pods away from the broken Cluster's rather than from each other.
    """
    return {key: _renamed(value, source, name) if key in _SCHEDULING else value for key, value in spec.items()}


def probed_often(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ``probes`` section for a Cluster that people wait for: as in ``spec``, else every second.

    CloudNativePG has its pods looked at every 10 s by default, when they start and again before they count as ready, so
    that a database that serves is often not used for another 10 to 20 s. How long a pod may fail stays as it was: the
    startup threshold is made of ``startDelay`` and the period, readiness takes 30 s (its ``pkg/specs/pods.go``).
    """
    return {
        "startup": {"periodSeconds": 1},
        "readiness": {"periodSeconds": 1, "failureThreshold": 30},
        **(spec.get("probes") or {}),
    }


def _renamed(value: Any, source: str, name: str) -> Any:
    if isinstance(value, list):
        return [_renamed(part, source, name) for part in value]
    if not isinstance(value, Mapping):
        return value
    changed = {key: _renamed(part, source, name) for key, part in value.items()}
    if changed.get(CLUSTER_LABEL) == source:
        changed[CLUSTER_LABEL] = name
    if changed.get("key") == CLUSTER_LABEL and "values" in changed:
        changed["values"] = [name if part == source else part for part in changed["values"]]
    return changed


def named_by(spec: Mapping[str, Any], store: Mapping[str, Any]) -> tuple[str, ...]:
    """The Secrets that a specification, and the definition of its object store, need besides the owner's password:
    without one of them nothing starts, or nothing is archived.
    """
    return tuple(sorted({name for name in _secrets(spec, store) if name}))


def _secrets(spec: Mapping[str, Any], store: Mapping[str, Any]) -> Iterator[str | None]:
    yield (spec.get("superuserSecret") or {}).get("name")
    for role in (spec.get("managed") or {}).get("roles") or ():
        yield (role.get("passwordSecret") or {}).get("name")
    for key in _CERTIFICATES:
        yield (spec.get("certificates") or {}).get(key)
    for pull in spec.get("imagePullSecrets") or ():
        yield pull.get("name")
    for credentials in ("googleCredentials", "s3Credentials", "azureCredentials"):
        for reference in (store.get(credentials) or {}).values():
            if isinstance(reference, Mapping):
                yield reference.get("name")
    for variable in spec.get("env") or ():
        yield ((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
    for source in spec.get("envFrom") or ():
        yield (source.get("secretRef") or {}).get("name")


def identity_warning(
    source: ClusterSnapshot, *, namespace: str, name: str, project: str, writes: bool = False
) -> Iterator[str]:
    """A word on Workload Identity: a new Cluster has a Kubernetes service account of its own, which nobody has bound
    (GKE docs, "Authenticate to Google Cloud APIs from GKE workloads"). None where the account is given by name, or
    where the bucket is not reached so. ``writes`` says that it archives there, too.
    """
    spec, definition = source.spec, source.store.definition if source.store else {}
    if spec.get("serviceAccountName"):
        return
    template = (spec.get("serviceAccountTemplate") or {}).get("metadata") or {}
    # CloudNativePG puts inheritedMetadata on the service account, too.
    inherited = (spec.get("inheritedMetadata") or {}).get("annotations") or {}
    account = {**inherited, **(template.get("annotations") or {})}.get(_GOOGLE_ACCOUNT)
    if not account and (definition.get("googleCredentials") or {}).get("gkeEnvironment"):
        bucket = str(definition["destinationPath"]).removeprefix("gs://").partition("/")[0]
        role = "roles/storage.objectAdmin" if writes else "roles/storage.objectViewer"
        yield (
            f"{name} reaches the bucket as its own Kubernetes service account, {namespace}/{name}, only if that was "
            f"let in: gcloud storage buckets add-iam-policy-binding gs://{bucket} --role {role} --member "
            f'"principal://iam.googleapis.com/projects/$(gcloud projects describe {project} '
            f"--format='value(projectNumber)')/locations/global/workloadIdentityPools/{project}.svc.id.goog/subject/ns/"
            f'{namespace}/sa/{name}"'
        )
    if account:
        member = f"serviceAccount:{project}.svc.id.goog[{namespace}/{name}]"
        yield (
            f"{name} reaches the bucket as {account} only if that account lets it: gcloud iam service-accounts "
            f"add-iam-policy-binding {account} --project {project} --role roles/iam.workloadIdentityUser --member "
            f"'{member}'"
        )


def certificate_warning(spec: Mapping[str, Any], *, name: str) -> Iterator[str]:
    """A word on TLS: CloudNativePG makes a CA for each Cluster that is given none (its docs, "Certificates"). ``spec``
    is the specification of the Cluster ``name``, or of the one that it is derived from, whose ``certificates`` it has.
    """
    given = spec.get("certificates") or {}
    clients = [
        *([] if given.get("serverCASecret") else ["with sslmode verify-ca or verify-full"]),
        *([] if given.get("clientCASecret") else ["that log in by a certificate"]),
    ]
    if clients:
        yield (
            f"{name} has a CA of its own, in Secret {name}-ca: clients {' and those '.join(clients)} need "
            "it, or a certificate of it, before the switchover."
        )


def label_warning(spec: Mapping[str, Any]) -> Iterator[str]:
    """A word on labels that a Service of one's own may select pods by: a copy's pods have them too."""
    labels = (spec.get("inheritedMetadata") or {}).get("labels") or {}
    if labels:
        said = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
        yield (
            f"The pods of the new Cluster have the labels {said} (spec.inheritedMetadata): a Service that selects by "
            "these, and not by cnpg.io/cluster, sends clients to them as well."
        )
