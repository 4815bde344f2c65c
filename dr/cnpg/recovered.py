"""The recovered ``Cluster``, derived from its source, with what has to be adapted under another name. Pure.

CloudNativePG never recovers in place (docs, "Recovery"): a new Cluster is bootstrapped from the old one's backups. To
be a stand-in for the source it has to be like it: the same binary, parameters no lower than the source's (PostgreSQL
refuses to replay otherwise), as much storage, the same place to run. So everything in the source's live specification
is kept, but for what belongs to the source alone.

CloudNativePG names everything after the Cluster, its pods' label and its service account among them; and a
specification may name Secrets, which no backup holds.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

from dr.archive.snapshots import SnapshotBackup
from dr.cnpg.cluster import BARMAN_PLUGIN, TARGET_ANNOTATION, ClusterSnapshot, ObjectStore, PluginArchive
from dr.core.target import RecoveryTarget, written
from dr.kube.objects import MANAGED_BY

SOURCE_ANNOTATION = "postgres-dr/recovered-from"
_MARKS_OF_OTHERS = (
    "postgres-dr/",
    "argocd.argoproj.io/",
    "kubectl.kubernetes.io/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
    "meta.helm.sh/",
)
"""Annotations of the tool that applied the source, or of this one."""
_STATES = ("cnpg.io/fencedInstances", "cnpg.io/hibernation", "cnpg.io/reconciliationLoop")
"""Annotations that keep a Cluster from running (CloudNativePG docs, "Labels and annotations")."""
_ARCHIVE_CHECKS = ("cnpg.io/skipEmptyWalArchiveCheck", "cnpg.io/skipWalArchiving")
"""Annotations that take from a Cluster what makes its archive one that it can be recovered from."""

_SOURCE_ONLY = {
    "bootstrap": "how the source itself began",
    "externalClusters": "rewritten below: where it comes from stands before the source's own",
    "replica": "a recovered cluster is a primary",
    "backup": "rewritten below, with a serverName of its own",
    "plugins": "rewritten below, with a serverName of its own",
}


class InGit(Enum):
    """How the source's manifest in Git comes to agree with the Cluster that was derived from it."""

    EDITED = "finalize writes the same into Git"
    LATER = "the value in Git is right again, and is applied once the old Cluster is gone"
    UNSAID = "Git does not have the field, and an apply leaves it; what Git has was kept"


DERIVED: Mapping[str, InGit] = {
    "affinity": InGit.EDITED,
    "backup.barmanObjectStore.serverName": InGit.EDITED,
    "bootstrap": InGit.EDITED,
    "certificates.serverAltDNSNames": InGit.EDITED,
    "description": InGit.LATER,
    "externalClusters": InGit.EDITED,
    "imageName": InGit.UNSAID,
    "managed.services": InGit.LATER,
    "plugins": InGit.EDITED,
    "probes": InGit.UNSAID,
    "replica": InGit.LATER,
    "topologySpreadConstraints": InGit.EDITED,
}
"""Every field of the specification in which a derived Cluster differs from its source, and what ``finalize`` does about
it. The Services of ``managed.services`` have names of their own, which the old Cluster holds until it is deleted.
"""


def left_out(source: ClusterSnapshot, *, name: str) -> Iterator[str]:
    """What the owner of ``source`` has set and the Cluster ``name``, derived from it, does not have, for people."""
    then = {"metadata": {"name": name}, "spec": source.spec}
    yield from (
        f"{field}, until finalize" if applied_later(field, then) else field
        for field, answer in DERIVED.items()
        if answer is InGit.LATER and field != "description" and _at(source.spec, field)
    )
    yield from (f"the annotation {annotation}" for annotation in _ARCHIVE_CHECKS if annotation in source.annotations)
    yield from (f"the label {label}" for label in sorted(source.labels.keys() - MANAGED_BY.keys()))


def put_back(spec: Mapping[str, Any], cluster: ClusterSnapshot) -> dict[str, Any]:
    """Of ``spec``, the source's or Git's, what ``cluster``, which was derived from it, is to have once the source is
    gone: each field with its value, empty where there is nothing.
    """
    then = {"metadata": {"name": cluster.name}, "spec": spec}
    wanted = {field: _at(spec, field) for field in DERIVED if applied_later(field, then)}
    return {field: value for field, value in wanted.items() if value and value != _at(cluster.spec, field)}


def as_patch(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch of a specification that sets ``fields``, each a path."""
    patch: dict[str, Any] = {}
    for field, value in fields.items():
        *way, last = field.split(".")
        place = patch
        for step in way:
            place = place.setdefault(step, {})
        place[last] = deepcopy(value)
    return patch


def _at(spec: Mapping[str, Any], field: str) -> Any:
    value: Any = spec
    for step in field.split("."):
        value = (value or {}).get(step)
    return value


def answer_in_git(field: str) -> InGit | None:
    """The answer for a field of the specification, ``spec`` left out: "managed.services.additional"."""
    return next((answer for known, answer in DERIVED.items() if f"{field}.".startswith(f"{known}.")), None)


def applied_later(field: str, in_git: Mapping[str, Any]) -> bool:
    """Whether a Cluster may differ in ``field`` from Git's manifest, as which it would be ``in_git``. A ``replica``
    section that would make a replica of it may not be applied.
    """
    replica = in_git["spec"].get("replica") or {}
    # As CloudNativePG's ``IsReplica`` (``api/v1/cluster_funcs.go``).
    itself = replica.get("self") or in_git["metadata"]["name"]
    demoted = replica.get("enabled", itself != replica.get("primary", ""))
    return answer_in_git(field) is InGit.LATER and not (field.startswith("replica") and demoted)


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
        if store := (spec.get("backup") or {}).get("barmanObjectStore"):
            return str(store["serverName"])
        return next(str(one["parameters"]["serverName"]) for one in spec["plugins"] if one["name"] == BARMAN_PLUGIN)

    @property
    def host(self) -> str:
        """The DNS name of its read-write Service."""
        return f"{self.name}-rw.{self.namespace}.svc.cluster.local"


def recovered_from(spec: Mapping[str, Any]) -> str:
    """The external cluster that the Cluster of this specification was recovered from; empty where it was not."""
    return str(((spec.get("bootstrap") or {}).get("recovery") or {}).get("source") or "")


def app_secret_name(recovered: str) -> str:
    """The Secret that holds the owner's password for the recovered Cluster.

    It is named as the one that CloudNativePG would generate, so that the deletion of the source Cluster, which takes
    the source's own Secret with it (owner reference), leaves the recovered one with a password.
    """
    return f"{recovered}-app"


def ca_secret_name(cluster: str) -> str:
    """The Secret with the CA of a Cluster that is given none. CloudNativePG takes one that is there, makes certificates
    by it, and renews it (``ensureCASecret`` in its ``cluster_pki.go``); one that is named in ``spec.certificates`` it
    does not renew.
    """
    return f"{cluster}-ca"


def has_own_authority(spec: Mapping[str, Any]) -> bool:
    """Whether CloudNativePG makes a CA for a Cluster with this specification, for its servers or its clients."""
    given = spec.get("certificates") or {}
    return not (given.get("serverCASecret") and given.get("clientCASecret"))


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
            "annotations": {
                **_annotations(source),
                TARGET_ANNOTATION: written(target),
                SOURCE_ANNOTATION: source.name,
            },
        },
        "spec": spec,
    }
    return RecoveredCluster(manifest=manifest, limit=limit)


def _annotations(source: ClusterSnapshot) -> dict[str, str]:
    """Those that say how its owner wants it to run, as ``cnpg.io/podPatch``."""
    kept = source.annotations.items()
    own = {*_STATES, *_ARCHIVE_CHECKS}
    return {name: value for name, value in kept if name not in own and not name.startswith(_MARKS_OF_OTHERS)}


def _target_from(target: RecoveryTarget | None, base: str) -> Mapping[str, Any]:
    """The ``recoveryTarget``: where to stop, and always the ID of the base backup that was planned, if it has one."""
    return {**({"backupID": base} if base else {}), **(target.manifest if target else {})}


def _in_tree(source: ClusterSnapshot, store: ObjectStore, server_name: str) -> dict[str, Any]:
    """Where it comes from and where it archives to, by CloudNativePG's own Barman support."""
    origin = {**deepcopy(dict(store.definition)), "serverName": store.server_name}
    own = {**deepcopy(dict(store.definition)), "serverName": server_name}
    others = [one for one in deepcopy(source.spec.get("plugins") or []) if one["name"] != BARMAN_PLUGIN]
    return {
        "externalClusters": _external(source, {"name": source.name, "barmanObjectStore": origin}),
        "backup": {**_rest_of_backup(source), "barmanObjectStore": own},
        **({"plugins": others} if others else {}),
    }


def _by_plugin(source: ClusterSnapshot, plugin: PluginArchive, server_name: str) -> dict[str, Any]:
    """The same by the Barman Cloud plugin. Without a serverName it would take the new Cluster's own name for both."""
    entry = deepcopy(dict(plugin.entry))
    known = entry.get("parameters") or {}
    origin = {"name": entry["name"], "parameters": {**known, "serverName": plugin.server_name}}
    backup = _rest_of_backup(source)
    own = {**entry, "parameters": {**known, "serverName": server_name}}
    others = deepcopy([one for one in source.spec["plugins"] if one == plugin.entry or one["name"] != BARMAN_PLUGIN])
    return {
        "externalClusters": _external(source, {"name": source.name, "plugin": origin}),
        "plugins": [own if one == plugin.entry else one for one in others],
        **({"backup": backup} if backup else {}),
    }


def _external(source: ClusterSnapshot, origin: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Where the Cluster comes from, before what the source's subscriptions or replicas may use.

    A subscription's connection string names files of theirs, as ``passfile=/controller/external/<name>/pgpass``, which
    CloudNativePG writes for the entries of the Cluster alone (its ``externalservers/reconciler.go``).
    """
    used = (source.spec.get("replica") or {}).values()
    served = {source.name, *({recovered_from(source.spec)} - set(used))}
    return [origin, *(deepcopy(one) for one in source.spec.get("externalClusters") or [] if one["name"] not in served)]


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
    adapted = deepcopy(dict(spec))
    for path in own_labels(spec, [source]):
        *way, last = path
        place: Any = adapted
        for step in way:
            place = place[step]
        place[last] = name
    return adapted


def own_labels(spec: Mapping[str, Any], names: Collection[str]) -> Iterator[tuple[str | int, ...]]:
    """Where scheduling rules of ``spec`` are about the pods of a Cluster that has one of ``names``, as paths to that
    name.
    """
    for key in _SCHEDULING:
        yield from ((key, *path) for path in _labels(spec.get(key), names))


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


def _labels(value: Any, names: Collection[str]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, Mapping):
        if value.get(CLUSTER_LABEL) in names:
            yield (CLUSTER_LABEL,)
        if value.get("key") == CLUSTER_LABEL:
            yield from (("values", at) for at, part in enumerate(value.get("values") or ()) if part in names)
    parts = value.items() if isinstance(value, Mapping) else enumerate(value if isinstance(value, list) else ())
    for step, part in parts:
        yield from ((step, *path) for path in _labels(part, names))


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
    yield (store.get("endpointCA") or {}).get("name")
    for variable in spec.get("env") or ():
        yield ((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
    for source in spec.get("envFrom") or ():
        yield (source.get("secretRef") or {}).get("name")


def identity_warning(
    source: ClusterSnapshot, *, namespace: str, name: str, project: str, writes: bool = False
) -> Iterator[str]:
    """A word on roles of pods: a new Cluster has a Kubernetes service account of its own, which nobody has bound
    (GKE docs, "Authenticate to Google Cloud APIs from GKE workloads"). None where the account is given by name, or
    where the bucket is not reached so. ``writes`` says that it archives there, too.
    """
    spec, definition = source.spec, source.store.definition if source.store else {}
    if spec.get("serviceAccountName"):
        return
    yield from _role_warning(definition, namespace=namespace, name=name)
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


def _role_warning(definition: Mapping[str, Any], *, namespace: str, name: str) -> Iterator[str]:
    """The same of AWS (IAM roles for service accounts, EKS Pod Identity) and of Azure (workload identity)."""
    s3, azure = definition.get("s3Credentials") or {}, definition.get("azureCredentials") or {}
    subject = f"system:serviceaccount:{namespace}:{name}"
    if s3.get("inheritFromIAMRole"):
        yield (
            f"{name} reaches the bucket by its IAM role only if that was given to its own Kubernetes service account: "
            f"the role's trust policy has to name {subject}, or an EKS Pod Identity association {namespace}/{name}."
        )
    if azure.get("inheritFromAzureAD") or azure.get("useDefaultAzureCredentials"):
        yield (
            f"{name} reaches the container by its managed identity only if that has a federated credential for its own "
            f"Kubernetes service account: {subject}."
        )


def certificate_warning(spec: Mapping[str, Any], *, name: str) -> Iterator[str]:
    """A word on TLS: CloudNativePG makes a CA for each Cluster that is given none (its docs, "Certificates"). ``spec``
    is the specification of the Cluster ``name``, or of the one that it is derived from, whose ``certificates`` it has.
    """
    given = spec.get("certificates") or {}
    clients = [
        *([] if given.get("serverCASecret") else ["with sslmode verify-ca or verify-full need its ca.crt to trust"]),
        *([] if given.get("clientCASecret") else ["that log in by a certificate need one that it has signed"]),
    ]
    if clients:
        own = ca_secret_name(name)
        yield (
            f"{name} has a CA of its own, in Secret {own}: before the switchover, clients "
            f"{', and those '.join(clients)}."
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
