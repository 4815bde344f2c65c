"""From symptoms to the row of the failure table: what this is, what recovers automatically, and the command otherwise.

Pure, as it has to be right on the day when nothing can be tried. What is not proven is shown as such: a server that
does not answer is not one that is gone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dr.cnpg.cluster import UNRECOVERABLE_PHASE, ClusterSnapshot
from dr.config.backup_location import Kind
from dr.config.environment import Environment
from dr.core.commands import command_line
from dr.diagnose.failure_table import (
    ARCHIVE,
    BUCKET,
    CLUSTER_DESTROYED,
    CONTROL_PLANE,
    DATA_CORRUPTION,
    NODE_NOT_READY,
    POD_CRASH,
    REGION_OUTAGE,
    ROWS,
    SPOT_PREEMPTION,
    TABLE_DROP,
    THIS_MACHINE,
    Row,
)
from dr.diagnose.symptoms import GONE, KUBERNETES_PARTS, Incident, KubernetesSeen, NodeSeen, PodSeen, Silence, Symptoms

RECENT = timedelta(minutes=10)
"""How long ago a container may have ended for it to be reported."""

_UNANSWERED = {"api-unreachable", "bucket-unreachable"}
_MISSING_RELATION = re.compile(r'relation \\?"(?P<name>[^"\\]+)\\?" does not exist')
"""As PostgreSQL says it, or as it stands in an application's JSON."""
_CORRUPT = re.compile(
    r"PANIC|invalid page in block|could not read blocks? |could not locate a valid checkpoint|missing chunk number"
    r"|unexpected zero page|could not open file \\?\"(base|global|pg_)|page verification failed"
)
"""What PostgreSQL says of damaged files (bufmgr.c, md.c, xlogrecovery.c, heaptoast.c, nbtpage.c)."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row of the failure table that applies: by what it is known, and what to run when it does not recover.

    ``proven`` is False where the same would be seen in a lesser case; ``unless`` says when to run ``command``.
    """

    row: Row
    seen: str
    command: str
    unless: str
    proven: bool = True


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What was found, the worst first; ``notes`` are what was seen, or not seen, besides. ``looked`` are the parts that
    were seen, ``unobserved`` those that were not: of these nothing is known, good or bad.
    """

    environment: Environment
    seen_at: datetime
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    looked: tuple[str, ...]
    unobserved: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The diagnosis as plain values."""
        return {
            "environment": self.environment.name,
            "seenAt": self.seen_at.isoformat(),
            "looked": list(self.looked),
            "notSeen": list(self.unobserved),
            "findings": [
                {
                    "row": finding.row.key,
                    "scenario": finding.row.scenario,
                    "ofTheRunbook": finding.row.of_the_runbook,
                    "seen": finding.seen,
                    "proven": finding.proven,
                    "recovers": finding.row.recovers,
                    "downtime": finding.row.downtime,
                    "command": finding.command,
                    "unless": finding.unless,
                }
                for finding in self.findings
            ],
            "notes": list(self.notes),
        }


def diagnose(environment: Environment, seen: Symptoms) -> Diagnosis:
    """Which rows of the failure table these symptoms are."""
    found = list(_Rules(environment, seen).findings())
    parts = dict(_parts(environment, seen))
    return Diagnosis(
        environment=environment,
        seen_at=seen.seen_at,
        findings=tuple(sorted(found, key=lambda finding: ROWS.index(finding.row))),
        notes=tuple(_notes(environment, seen)),
        looked=tuple(part for part, known in parts.items() if known),
        unobserved=tuple(part for part, known in parts.items() if not known),
    )


def _parts(environment: Environment, seen: Symptoms) -> Iterator[tuple[str, bool]]:
    """Each part, and whether it was seen: a bucket that Google says is not there was."""
    kubernetes = seen.kubernetes
    unobserved = KUBERNETES_PARTS if isinstance(kubernetes, Silence) else kubernetes.unobserved
    for part in KUBERNETES_PARTS:
        yield part, part not in unobserved
    yield "the bucket", seen.bucket is None or seen.bucket.code == "bucket-missing"
    yield "the application", bool(environment.smoke_test_url)
    yield "Google's status page", not isinstance(seen.incidents, Silence)


class _Rules:
    """The rules over one observation."""

    def __init__(self, environment: Environment, seen: Symptoms) -> None:
        self._environment = environment
        self._seen = seen
        self._say = environment.commands

    def findings(self) -> Iterator[Finding]:
        kubernetes, bucket = self._seen.kubernetes, self._seen.bucket
        api_silent = isinstance(kubernetes, Silence) and kubernetes.code in _UNANSWERED
        bucket_silent = bucket is not None and bucket.code in _UNANSWERED
        # A login that fails here is no answer of Google's.
        reached = bucket is None or bucket.code in {"bucket-missing", "bucket-forbidden", "archive-empty"}
        if api_silent and not reached and isinstance(self._seen.incidents, Silence) and not self._seen.gke:
            yield Finding(
                row=THIS_MACHINE,
                seen="neither the Kubernetes API, nor the bucket, nor Google's status page was reached from here"
                + ("" if bucket_silent or bucket is None else f": {bucket.cause}"),
                command=self._say.dr("diagnose"),
                unless="fix this machine's network or VPN, or use another machine, and repeat",
                proven=False,
            )
            return
        yield from self._region(both_silent=api_silent and bucket_silent)
        if isinstance(kubernetes, Silence):
            yield self._no_kubernetes(kubernetes, both_silent=api_silent and bucket_silent)
        else:
            yield from self._in_kubernetes(kubernetes)
        if bucket is not None:
            yield self._no_bucket(bucket)
        yield from self._application()

    def _region(self, *, both_silent: bool) -> Iterator[Finding]:
        going_on = () if isinstance(self._seen.incidents, Silence) else here(self._seen.incidents, self._seen.region)
        if not going_on and not both_silent:
            return
        told = "; ".join(f"{one.what} ({', '.join(one.products)}), {one.page}" for one in going_on)
        broken = "the Kubernetes API and the bucket do not answer, and this machine's own network works"
        yield Finding(
            row=REGION_OUTAGE,
            seen="; ".join(
                [*([f"Google reports for {self._seen.region}: {told}"] if told else []), *([broken] * both_silent)]
            ),
            command=self._say.dr(*(("full-rebuild", "--region", "REGION", "--dry-run") if going_on else ("diagnose",))),
            unless="if you cannot wait: the dry run shows what another region needs; docs/rebuild.md"
            if going_on
            else "Google reports nothing for it yet: look again, here and on another network",
            proven=bool(going_on) and both_silent,
        )

    def _no_kubernetes(self, silence: Silence, *, both_silent: bool) -> Finding:
        if silence.code == "api-error":
            return Finding(
                row=CONTROL_PLANE,
                seen=silence.cause,
                command=self._say.kubectl("get", "--raw", "/readyz?verbose"),
                unless="if it lasts more than 15 minutes: Google's support; it says nothing about the database",
                proven=False,
            )
        if silence.code not in _UNANSWERED:
            return self._blind(silence)
        if self._seen.gke and self._seen.gke != GONE:
            return Finding(
                row=THIS_MACHINE,
                seen=f"{silence.cause}; Google says that the GKE cluster is there: {self._seen.gke}",
                command=self._say.dr("diagnose"),
                unless="it exists: a VPN, an authorized network, or its control plane is being upgraded or repaired, "
                "which takes minutes",
                proven=False,
            )
        if self._seen.gke == GONE:
            return Finding(
                row=CLUSTER_DESTROYED,
                seen=f"{silence.cause}; Google says that there is no such GKE cluster",
                command=self._say.dr("full-rebuild", "--dry-run"),
                unless="the dry run shows what would be made, and changes nothing",
            )
        also = "" if both_silent else "; the network works: the bucket or Google's status page answers"
        if project := self._environment.gcp_project:
            what = "the GKE cluster"
            command = command_line("gcloud", "container", "clusters", "list", "--project", project)
            gone = f"Where that list does not have it: {self._say.dr('full-rebuild', '--dry-run')}"
        else:
            what, command = "the cluster", self._say.kubectl("version")
            gone = "Whether it is there, ask its provider"
        return Finding(
            row=THIS_MACHINE,
            seen=f"{silence.cause}{also}; whether {what} is there was not found out",
            command=command,
            unless="no answer does not prove that it is gone: a VPN, an authorized network, an upgrade of its control "
            f"plane. {gone}",
            proven=False,
        )

    def _blind(self, silence: Silence) -> Finding:
        return Finding(
            row=THIS_MACHINE,
            seen=silence.cause,
            command=self._say.dr("diagnose"),
            unless=f"fix that ({silence.code} in docs/errors.md), and repeat",
            proven=False,
        )

    def _no_bucket(self, silence: Silence) -> Finding:
        if silence.code in {"bucket-forbidden", "google-credentials", "store-credentials", "store-library-missing"}:
            return self._blind(silence)
        gone = silence.code == "bucket-missing"
        unless = (
            "the backups are gone with it: is it kept by soft delete? Do not delete the database"
            if gone
            else ("if it lasts, watch that the database's volume does not fill; meanwhile nothing newer is recoverable")
        )
        place = self._environment.backup
        command = (
            command_line("gcloud", "storage", "buckets", "list", "--soft-deleted", "--project", project)
            if gone and place.store is Kind.GCS and (project := self._environment.gcp_project)
            else place.list_command
        )
        return Finding(row=BUCKET, seen=silence.cause, command=command, unless=unless, proven=gone)

    def _in_kubernetes(self, seen: KubernetesSeen) -> Iterator[Finding]:
        for node in seen.nodes:
            if not node.ready or node.ending:
                yield self._node(node)
        for pod in seen.pods:
            yield from self._pod(pod)
        if not seen.clusters.installed:
            yield Finding(
                row=CLUSTER_DESTROYED,
                seen="the Kubernetes API answers, and CloudNativePG's CRD is not there: the platform is not complete",
                command=self._say.dr("full-rebuild", "--dry-run"),
                unless="unless Argo CD is just installing it",
            )
        elif seen.clusters.looked:
            yield from self._database(seen)

    def _node(self, node: NodeSeen) -> Finding:
        since = f" since {node.since:%H:%M:%S} UTC" if node.since else ""
        state = "is being taken away" if node.ending else f"is not ready{since}: {node.reason}"
        kind = "spot node" if node.spot else "node"
        return Finding(
            row=SPOT_PREEMPTION if node.spot else NODE_NOT_READY,
            seen=f"the {kind} {node.name} {state}",
            command=self._say.kubectl("delete", "node", node.name),
            unless="if it stays so for 15 minutes: its pods and volumes are free then. Does the database's pod hang "
            "even so, " + self._say.dr("latest"),
        )

    def _pod(self, pod: PodSeen) -> Iterator[Finding]:
        name = f"{pod.namespace}/{pod.name}"
        damage = [line for line in pod.last_words if _CORRUPT.search(line)]
        if pod.cluster and damage:
            yield Finding(
                row=DATA_CORRUPTION,
                seen=f"the database's pod {name} says: {damage[-1][:300]}",
                command=self._say.dr("latest"),
                unless="if the damage is older than the newest WAL, recover from before it: "
                + self._say.dr("pitr", "--target-time", "TIME"),
            )
        elif pod.node_ended:
            yield Finding(
                row=SPOT_PREEMPTION,
                seen=f"the pod {name} was ended with its node",
                command=self._say.kubectl("get", "pods", "-o", "wide", namespace=pod.namespace),
                unless="if none takes its place",
            )
        elif pod.unschedulable:
            yield Finding(
                row=SPOT_PREEMPTION,
                seen=f"the pod {name} finds no node: {pod.unschedulable}",
                command=self._say.kubectl("describe", "pod", pod.name, namespace=pod.namespace),
                unless="if it waits for more than 5 minutes: is a node pool at its limit, out of spot machines, or in "
                "another zone than the volume?",
            )
        elif pod.waiting or self._ended_lately(pod):
            yield self._crash(pod, name)

    def _ended_lately(self, pod: PodSeen) -> bool:
        return bool(pod.ended_at and pod.exit_code and self._seen.seen_at - pod.ended_at < RECENT)

    def _crash(self, pod: PodSeen, name: str) -> Finding:
        times = f", restarted {pod.restarts} times" if pod.restarts else ""
        ended = f", its container ended with {pod.exit_code} ({pod.ended})" if pod.ended else ""
        state = pod.waiting or ("runs again" if pod.ready else "is not ready")
        logs = self._say.kubectl("logs", pod.name, "--all-containers", "--previous", namespace=pod.namespace)
        unless = "if it lasts for minutes: the end of its log says why"
        if pod.waiting in {"ImagePullBackOff", "ErrImagePull", "CreateContainerConfigError"}:
            logs = self._say.kubectl("describe", "pod", pod.name, namespace=pod.namespace)
            unless = "this one does not recover without help: see what it lacks"
        elif pod.cluster:
            unless += ". A database that cannot start any more: " + self._say.dr("latest")
        return Finding(row=POD_CRASH, seen=f"the pod {name}: {state}{times}{ended}", command=logs, unless=unless)

    def _database(self, seen: KubernetesSeen) -> Iterator[Finding]:
        name = seen.serving or self._environment.source_cluster
        cluster = next((one for one in seen.clusters.found if one.name == name), None)
        if cluster is None:
            yield Finding(
                row=DATA_CORRUPTION,
                seen=f"the Cluster {self._environment.namespace}/{name} is not there",
                command=self._say.dr("latest"),
                unless="unless Argo CD is just making it; is the whole platform gone, "
                + self._say.dr("full-rebuild", "--dry-run"),
            )
            return
        if cluster.phase == UNRECOVERABLE_PHASE:
            yield Finding(
                row=DATA_CORRUPTION,
                seen=f"CloudNativePG says of {name}: {cluster.phase} {cluster.phase_reason}".strip(),
                command=self._say.dr("latest"),
                unless="into a new Cluster; this one stays as it is",
            )
        elif not cluster.healthy:
            yield Finding(
                row=POD_CRASH,
                seen=f"CloudNativePG is changing {name}: {cluster.phase or 'just made'}",
                command=self._say.dr("latest"),
                unless="if it is not healthy within 10 minutes, and its nodes and pods are",
            )
        yield from self._archive(cluster)

    def _archive(self, cluster: ClusterSnapshot) -> Iterator[Finding]:
        if cluster.archiving.working is not False:
            return
        said = cluster.archiving.message
        foreign = "Expected empty archive" in said
        yield Finding(
            row=ARCHIVE,
            seen=f"{cluster.name} archives no WAL: {said or 'no reason is given'}",
            command=self._say.dr("latest")
            if foreign
            else self._say.kubectl("logs", str(cluster.primary), namespace=cluster.namespace),
            unless="it does not recover automatically: another database's WAL is in its folder; the two must not mix"
            if foreign
            else "if the bucket answers and it lasts: the log names the segment and the error",
        )

    def _application(self) -> Iterator[Finding]:
        health = self._seen.health
        if missing := _MISSING_RELATION.search(health):
            table = missing["name"]
            yield Finding(
                row=TABLE_DROP,
                seen=f"the application says: {health}",
                command=self._say.dr("pitr", "--before-drop", table if "." in table else f"public.{table}"),
                unless="it is found out when that was; only that table, with everything written since kept: "
                + self._say.dr("extract", "--table", "TABLE", "--target-time", "TIME"),
                proven=False,
            )
        elif _CORRUPT.search(health):
            yield Finding(
                row=DATA_CORRUPTION,
                seen=f"the application says: {health}",
                command=self._say.dr("latest"),
                unless="from before the damage: " + self._say.dr("pitr", "--target-time", "TIME"),
            )


def here(incidents: tuple[Incident, ...], region: str) -> tuple[Incident, ...]:
    """The incidents that touch ``region``; none when that is not known."""
    return tuple(one for one in incidents if region and one.regions & {region, "global"})


def _notes(environment: Environment, seen: Symptoms) -> Iterator[str]:
    if isinstance(seen.kubernetes, KubernetesSeen):
        if entry := seen.kubernetes.unfinished:
            yield (
                f"{entry.operation} of {entry.started:%Y-%m-%d %H:%M} UTC is not finished: stopped writers may be its "
                f"doing; {environment.commands.dr('resume')}"
            )
        yield from seen.kubernetes.unseen
    else:
        yield "nodes, pods and the database were not looked at"
    if isinstance(seen.incidents, Silence):
        yield f"Google's status page was not read: {seen.incidents.cause}"
    elif not seen.region and seen.incidents:
        yield f"Google reports {len(seen.incidents)} incidents, and the region of {environment.name} is not known here"
    if not environment.smoke_test_url:
        yield "the application was not asked: there is no smokeTestUrl"
    elif not seen.health.startswith("200"):
        yield f"the application answers {seen.health}"
