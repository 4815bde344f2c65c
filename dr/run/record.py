"""What this tool has to remember between runs, and which Cluster a recovery comes from by it.

Replica counts are lost the moment a Deployment is scaled to 0, and a recovery that was declared once must stay
declared: dropping it from the program would ask Pulumi to delete the recovered Cluster. Any operator's next run, and
``pulumi up``, read the same record.

After a switchover the database that is broken next is the recovered one. Its own archive has what was written since;
the first Cluster's has not.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from dr.archive.promise import Promise
from dr.cnpg.quiet import awake
from dr.cnpg.recovered import RecoveredCluster
from dr.config.environment import Environment
from dr.config.names import free_name, possible_names
from dr.core.commands import CommandLines
from dr.core.errors import Problem, RefusedError
from dr.core.history import OperationEntry, Outcome, with_entry
from dr.core.target import LATEST
from dr.kube.objects import identity
from dr.stacks.declaration import Declaration


class Mark(BaseModel):
    """A restore point that this tool made. ``lsn`` is where it ends, as PostgreSQL writes it; ``segment`` the WAL
    segment that holds it; ``backup_id`` the newest base backup that had ended before it. ``archived`` is False as long
    as it is not known to be in the archive.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    cluster: str
    server_name: str
    lsn: str
    segment: str
    backup_id: str
    made: datetime
    made_by: str
    archived: bool = False

    def command(self, commands: CommandLines, *, serving: str) -> str:
        """The command that comes back to it; ``serving`` is the Cluster that recoveries come from by default."""
        words = ["--target-name", self.name, "--backup-id", self.backup_id]
        words += [] if self.cluster == serving else ["--source", self.cluster]
        return commands.dr("pitr", *words)

    def as_json(self) -> dict[str, Any]:
        """The mark as plain values."""
        found: dict[str, Any] = self.model_dump(mode="json")
        return found


class DeclaredRecovery(BaseModel):
    """One recovered Cluster that the recovery stack holds. ``promise`` is where its recovery has to end, as it was when
    the Cluster was made.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    manifest: dict[str, Any]
    limit_seconds: float
    promise: Promise | None = None

    @property
    def cluster(self) -> RecoveredCluster:
        """The same as a value to declare from."""
        return RecoveredCluster(manifest=self.manifest, limit=timedelta(seconds=self.limit_seconds))


class Record(BaseModel):
    """The record of one environment.

    ``replicas`` maps a Deployment to the count it had before it was stopped; ``external_name`` is where the stack
    declares the Service to point, None until a first switchover; ``came_from`` are the names it pointed to before each
    switchover that was not rolled back, oldest first; ``verified`` are the recovered Clusters that passed verification,
    each with the transaction ID its next writer would have got; ``fenced`` are the Clusters that this tool keeps from
    writing; ``paused`` maps what was paused of Argo CD to the setting it had, outermost first; ``held`` does so for
    what would write, or wake writers, automatically; ``canonical`` is the Cluster that the last finalize made the
    environment's own, empty before the first; ``carried`` are the manifests of what a finalize recreates, kept before
    the objects that they come from are deleted; ``marks`` are the restore points that were made, oldest first;
    ``applied`` is what ``Pulumi.<env>.yaml`` asked for when ``pulumi up`` was last run by hand.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    updated: datetime
    updated_by: str
    recoveries: tuple[DeclaredRecovery, ...] = ()
    replicas: Mapping[str, int] = {}
    external_name: str | None = None
    came_from: tuple[str, ...] = ()
    verified: Mapping[str, int] = {}
    fenced: tuple[str, ...] = ()
    paused: Mapping[str, Any] = {}
    held: Mapping[str, Any] = {}
    canonical: str = ""
    carried: tuple[Mapping[str, Any], ...] = ()
    operations: tuple[OperationEntry, ...] = ()
    marks: tuple[Mark, ...] = ()
    applied: Mapping[str, Any] = {}

    def declaration(self, present: Collection[str]) -> Declaration:
        """What the recovery stack holds, when the Clusters ``present`` are there.

        One that was deleted is not declared any more: Pulumi would recreate it, and it could not recover, as its own
        archive is not empty.
        """
        clusters = (recovery.cluster for recovery in self.recoveries)
        return Declaration(
            clusters=tuple(cluster for cluster in clusters if cluster.name in present),
            external_name=self.external_name,
        )

    @property
    def finalized(self) -> bool:
        """Whether a finalize has had the last word: nothing was recovered since."""
        return bool(self.canonical) and not self.recoveries

    @property
    def unfinished(self) -> OperationEntry | None:
        """The newest operation, when it is not done."""
        last = self.operations[-1] if self.operations else None
        return last if last and last.outcome is not Outcome.DONE else None

    def with_operation(self, entry: OperationEntry) -> "Record":
        """The record with ``entry`` as the newest operation."""
        return self.model_copy(update={"operations": with_entry(self.operations, entry)})

    def leaving(self, before: str, *, towards: str) -> "Record":
        """The record of a switchover under way from ``before``. Safe to repeat once the Service has moved."""
        known = before == towards or self.came_from[-1:] == (before,)
        return self if known else self.model_copy(update={"came_from": (*self.came_from, before)})

    def came_back(self, origin: str) -> "Record":
        """The record of a rollback that has arrived at ``origin``, the newest of ``came_from``."""
        arrived = self.came_from[-1:] == (origin,)
        return self.model_copy(update={"came_from": self.came_from[:-1]}) if arrived else self

    def pointing_to(self, external_name: str) -> "Record":
        """The record with the Service declared to point to ``external_name``."""
        return self.model_copy(update={"external_name": external_name})

    def with_verified(self, cluster: str, next_transaction: int) -> "Record":
        """The record with ``cluster`` verified. What was known of it first is kept: it was before any writer."""
        return self.model_copy(update={"verified": {cluster: next_transaction, **self.verified}})

    def with_paused(self, settings: Mapping[str, Any]) -> "Record":
        """The record with more of Argo CD paused. A setting that is remembered already stays: it was before us."""
        return self.model_copy(update={"paused": {**settings, **self.paused}})

    def released(self) -> "Record":
        """The record with nothing of Argo CD paused."""
        return self.model_copy(update={"paused": {}})

    def with_held(self, settings: Mapping[str, Any]) -> "Record":
        """The record with more held. A setting that is remembered already stays: it was before us."""
        return self.model_copy(update={"held": {**settings, **self.held}})

    def without_held(self, names: Collection[str]) -> "Record":
        """The record with ``names`` released."""
        return self.model_copy(update={"held": {name: was for name, was in self.held.items() if name not in names}})

    def with_fenced(self, cluster: str, *, fenced: bool) -> "Record":
        """The record with ``cluster`` kept from writing, or not any more."""
        others = tuple(name for name in self.fenced if name != cluster)
        return self.model_copy(update={"fenced": (*others, cluster) if fenced else others})

    def with_applied(self, asked: Mapping[str, Any]) -> "Record":
        """The record with what the file asks for applied."""
        return self.model_copy(update={"applied": dict(asked)})

    def carrying(self, manifests: Sequence[Mapping[str, Any]]) -> "Record":
        """The record with what is about to be created again. Known ones stay: the objects may be gone by now."""
        known = {identity(one) for one in self.carried}
        more = [one for one in manifests if identity(one) not in known]
        return self.model_copy(update={"carried": (*self.carried, *more)})

    def closed(self, canonical: str) -> "Record":
        """The record of an incident that is over: ``canonical`` is declared elsewhere from now on, and nothing is left
        to go back to.
        """
        return Record(
            updated=self.updated,
            updated_by=self.updated_by,
            canonical=canonical,
            operations=self.operations,
            marks=self.marks,
            applied=self.applied,
        )

    def with_recovery(self, cluster: RecoveredCluster) -> "Record":
        """The record with ``cluster`` declared, in place of an earlier declaration of the same name.

        What is known of another Cluster that had the name, that it was verified or fenced, is not known of this one.
        """
        same = self.recovery(cluster.name) == cluster
        declared = DeclaredRecovery(
            manifest=dict(cluster.manifest),
            limit_seconds=cluster.limit.total_seconds(),
            promise=self.promise(cluster.name) if same else None,
        )
        others = tuple(recovery for recovery in self.recoveries if recovery.cluster.name != cluster.name)
        known = self
        if not same:
            verified = {name: first for name, first in self.verified.items() if name != cluster.name}
            known = self.with_fenced(cluster.name, fenced=False).model_copy(update={"verified": verified})
        return known.model_copy(update={"recoveries": (*others, declared)})

    def awakened(self, name: str) -> "Record":
        """The record with the Cluster ``name`` declared as it is when it is used: nothing in it is kept quiet."""
        declared = self.recovery(name)
        return self.redeclared(name, awake(declared.manifest)) if declared else self

    def redeclared(self, name: str, manifest: Mapping[str, Any]) -> "Record":
        """The record with the Cluster ``name`` declared as ``manifest``; it is the same Cluster."""
        changed = tuple(
            recovery.model_copy(update={"manifest": dict(manifest)}) if recovery.cluster.name == name else recovery
            for recovery in self.recoveries
        )
        return self.model_copy(update={"recoveries": changed})

    def with_promise(self, name: str, promise: Promise | None) -> "Record":
        """The record with where the recovery of the Cluster ``name`` has to end."""
        changed = tuple(
            recovery.model_copy(update={"promise": promise}) if recovery.cluster.name == name else recovery
            for recovery in self.recoveries
        )
        return self.model_copy(update={"recoveries": changed})

    def promise(self, name: str) -> Promise | None:
        """Where the recovery of the Cluster ``name`` has to end; None where that is not known."""
        return next((recovery.promise for recovery in self.recoveries if recovery.cluster.name == name), None)

    def is_compared(self, name: str) -> bool:
        """Whether it is known that the recovered Cluster ``name``, once it was verified, has all that it had to have:
        a target was reached by PostgreSQL's own word, and without one it had to be known how far it has to come.
        """
        recovery = self.recovery(name)
        return recovery is None or recovery.target != LATEST or self.promise(name) is not None

    def with_replicas(self, seen: Mapping[str, int]) -> "Record":
        """The record with the counts of Deployments that run. One that is at 0 keeps what was remembered of it."""
        running = {name: count for name, count in seen.items() if count > 0}
        return self.model_copy(update={"replicas": {**self.replicas, **running}})

    def recovery(self, name: str) -> RecoveredCluster | None:
        """The declaration of the recovered Cluster ``name``."""
        return next((recovery.cluster for recovery in self.recoveries if recovery.cluster.name == name), None)


_GENERATIONS = 99


def source_of(environment: Environment, *, serving: str, record: Record | None) -> str:
    """The Cluster to recover from: the one that ``serving`` names, as the Service leads to it; where it leads to none,
    the one that the last finalize made the environment's own, else the configured one.

    The record may be gone, or the Service moved by hand: what they say is not needed where a name is one that
    this tool gives. Raises RefusedError ``source-unknown`` where another Cluster serves than this environment has.
    """
    canonical = (record.canonical if record else "") or environment.source_cluster
    if not serving:
        return canonical
    recovered = {recovery.cluster.name for recovery in record.recoveries} if record else set()
    source = environment.source_cluster
    given = possible_names(source, environment.recovered_cluster, generations=_GENERATIONS)[: _GENERATIONS + 1]
    if serving in {canonical, source, *recovered, *given}:
        return serving
    raise RefusedError(
        [
            Problem(
                code="source-unknown",
                cause=f"the Service {environment.service} leads to the Cluster {serving}, which is neither configured "
                "nor known as a recovered one, so it is not known which data to recover",
                remedy=f"is it the one? Then --source {serving}, or sourceCluster: {serving} in "
                f"Pulumi.{environment.name}.yaml; else --source {canonical}",
            )
        ]
    )


def recovered_last(environment: Environment, record: Record | None) -> str:
    """The Cluster that a switchover is about when none is named: the newest that was recovered."""
    return record.recoveries[-1].cluster.name if record and record.recoveries else environment.recovered_cluster


def recovered_name(environment: Environment, *, source: str, taken: Collection[str]) -> str:
    """What to call the Cluster that is recovered from ``source``: the configured name for the first generation, then
    ``<name>-2``, ``<name>-3``, ... whichever nobody has.
    """
    if source == environment.source_cluster:
        return environment.recovered_cluster
    return free_name(environment.recovered_cluster, {*taken, environment.recovered_cluster})
