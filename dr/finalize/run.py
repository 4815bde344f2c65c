"""Making the recovered Cluster the canonical one: Git, what depends on it, the old Cluster's end, Argo CD's return."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from dr.archive.reader import find_archive
from dr.archive.window import unusable
from dr.cnpg.backups import take_first_backup
from dr.cnpg.cluster import ClusterSnapshot, cluster_behind, read_write_host
from dr.cnpg.clusters import delete_cluster, find_cluster
from dr.cnpg.fencing import is_silent
from dr.cnpg.left_behind import left_behind
from dr.core.errors import AccessError, VerificationError
from dr.core.plan import Phase, Step, StepOf
from dr.core.target import LaterCommits
from dr.finalize import dependants_api
from dr.finalize.dependants import Dependant
from dr.finalize.dependants_api import would_change
from dr.finalize.plan import FinalizeDecision, decide_finalization, former_names
from dr.finalize.preconditions import OPERATION, FinalizeRequest, FinalizeSituation, GitSeen
from dr.finalize.report import FinalizeReport
from dr.gitops import argocd_api
from dr.gitops.argocd import Manager
from dr.gitops.argocd_pause import hand_back, managers
from dr.gitops.checkout import Checkout, revision_of, source_of
from dr.gitops.manifests import Canonical, Rewriting, rewrite
from dr.kube import workloads
from dr.kube.objects import identity
from dr.kube.pod_exec import GONE
from dr.postgres.psql import Psql
from dr.run.operation import Course, Operation, Tools, run_operation
from dr.run.record import Record
from dr.run.session import Session
from dr.traffic.writers import list_self_starters

_DELETE_SECONDS = 300
_DEPENDANT_SECONDS = 60
_STATE_SECONDS = 120
_CLIENTS = """SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
AND pid <> pg_backend_pid() AND NOT (usename = 'postgres' AND client_addr IS NULL)"""
"""But for this question itself, and the instance manager's own sessions through the socket."""
_COMPARED_KINDS = ("Cluster", "Service")
"""What is changed where it stands; everything else that the manifests have is made anew from them."""


def decide(session: Session, request: FinalizeRequest) -> FinalizeDecision:
    """Look, and decide. Changes nothing, but has Argo CD compare with Git anew. Raises RefusedError, RequestError or
    AccessError.
    """
    return decide_finalization(session.environment, request, _observe(session, request))


def _observe(session: Session, request: FinalizeRequest) -> FinalizeSituation:
    environment, api = session.environment, session.api
    namespace, writers = environment.namespace, environment.workloads
    record = _record(session)
    external_name = workloads.external_name(api, namespace, environment.service)
    pointed_to = cluster_behind(external_name or "", namespace)
    serving = find_cluster(api, namespace, pointed_to) if pointed_to else None
    names = former_names(environment, record, pointed_to) if serving else ()
    former = _still_there(session, names)
    managing = _compared(session, managers(session, clusters=[*names, pointed_to]))
    kinds = dependants_api.read_kinds(api)
    return FinalizeSituation(
        external_name=external_name,
        serving=serving,
        former=former,
        writable=_writable(session, former, record),
        dependants=dependants_api.list_dependants(api, namespace, {*names, pointed_to}, kinds),
        plurals=kinds.plurals,
        unclear=dependants_api.list_unclear(api, namespace, names, kinds),
        secret_users=dependants_api.secret_users(api, namespace, former, kinds.plurals),
        own_backup=_own_backup(session, serving) if serving else "",
        workloads={name: workloads.read_deployment(api, writers.namespace, name) for name in writers.deployments},
        still_held=_still_held(session, record, serving=pointed_to),
        record=record,
        argocd=managing,
        out_of_sync=tuple(sorted({resource for manager in managing for resource in manager.out_of_sync})),
        git=_git(session, request, serving, names, managing) if serving else None,
        left_behind=_left_behind(session, former, serving, record) if serving else {},
    )


def _record(session: Session) -> Record:
    return session.records.read() or Record(updated=session.clock(), updated_by=session.holder.operator)


def _still_there(session: Session, names: Collection[str]) -> tuple[ClusterSnapshot, ...]:
    found = (find_cluster(session.api, session.environment.namespace, name) for name in names)
    return tuple(cluster for cluster in found if cluster)


def _writable(session: Session, former: Collection[ClusterSnapshot], record: Record) -> tuple[str, ...]:
    """Those of the Clusters ``former`` that may have what nobody looked at: all that are not seen silent, but for a
    recovered one to which the traffic never was and no client is connected.
    """
    environment = session.environment
    left = {cluster_behind(host, environment.namespace) for host in record.came_from}
    served = {record.canonical or environment.source_cluster, *left}
    found = [cluster for cluster in former if not is_silent(session.api, cluster)]
    return tuple(cluster.name for cluster in found if cluster.name in served or _has_clients(session, cluster))


def _left_behind(
    session: Session, former: Collection[ClusterSnapshot], serving: ClusterSnapshot, record: Record
) -> dict[str, LaterCommits | None]:
    present = [*former, serving]
    return {
        cluster.name: left_behind(session.api, cluster, serving, present, first=record.verified.get(cluster.name))
        for cluster in former
    }


def _has_clients(session: Session, cluster: ClusterSnapshot) -> bool:
    """Whether clients are connected; True where that could not be asked."""
    if cluster.primary is None:
        return False
    psql = Psql(session.api, namespace=cluster.namespace, pod=cluster.primary, database="postgres")
    try:
        return psql.ask(_CLIENTS) != ["0"]
    except AccessError as error:
        return error.code not in GONE


def _still_held(session: Session, record: Record, *, serving: str) -> tuple[str, ...]:
    """What this tool holds and nobody would let go: all but the Poolers of the Clusters that go."""
    if not record.held:
        return ()
    found = list_self_starters(session.api, session.environment, {serving} if serving else ())
    return tuple(str(one) for one in found if one.held and str(one) in record.held)


def _compared(session: Session, found: Collection[Manager]) -> tuple[Manager, ...]:
    """The managers as they are after a new comparison with Git: what was merged a moment ago has to be seen."""
    now = (argocd_api.compare(session.api, manager, stop=session.stop) for manager in found)
    return tuple(manager for manager in now if manager)


def _own_backup(session: Session, serving: ClusterSnapshot) -> str:
    """The newest base backup in the Cluster's own archive that can be recovered from, by what the bucket holds."""
    if serving.server_name is None:
        return ""
    archive, _ = find_archive(session.environment.backup, serving.server_name)
    usable = [backup for backup in archive.backups if backup not in unusable(archive)] if archive else []
    return usable[-1].backup_id if usable else ""


def _git(
    session: Session,
    request: FinalizeRequest,
    serving: ClusterSnapshot,
    formers: Collection[str],
    managing: Collection[Manager],
) -> GitSeen | None:
    place = session.environment.git
    if place is None or not request.checkout:
        return None
    checkout = Checkout(Path(request.checkout).expanduser())
    source = source_of(place, managing)
    branch = request.branch or f"postgres-dr/{session.environment.name}-{serving.name}"
    repository = (source.repository if source else place.repository) or ""
    if repository and not checkout.is_of(repository):
        nothing = Rewriting(files=(), changes=(), documents=(), mentions=())
        return GitSeen(root=str(checkout.root), revision="", branch=branch, rewriting=nothing, stranger=repository)
    revision = revision_of(checkout, source)
    rewriting = rewrite(checkout.read(place.manifests, revision), _canonical(session, serving, formers))
    compared = [document for document in rewriting.documents if document["kind"] in _COMPARED_KINDS]
    namespace = session.environment.namespace
    return GitSeen(
        root=str(checkout.root),
        revision=revision,
        branch=branch,
        rewriting=rewriting,
        dirty=checkout.dirty(place.manifests),
        differences=tuple(
            difference
            for document in compared
            for difference in would_change(session.api, document, namespace=namespace)
        ),
    )


def _canonical(session: Session, serving: ClusterSnapshot, formers: Collection[str]) -> Canonical:
    certificates = serving.spec.get("certificates") or {}
    return Canonical(
        name=serving.name,
        namespace=serving.namespace,
        server_name=serving.server_name or serving.name,
        host=read_write_host(serving),
        service=session.environment.service,
        alt_dns_names=tuple(certificates.get("serverAltDNSNames") or ()),
        former=tuple(formers),
    )


class Finalize(Operation):
    """One finalize that was decided."""

    tools: Tools

    def __init__(self, decision: FinalizeDecision) -> None:
        self.decision = decision
        super().__init__(OPERATION, decision)

    def steps(self) -> Iterator[Step]:
        """Nothing goes before what takes its place is proven. A proposal is the change to Git, and no more."""
        decision, git = self.decision, self.decision.git
        if not decision.backed_up and not decision.proposal:
            yield BackUp(self)
        if not decision.proposal:
            yield Prove(self)
        if git and git.rewriting.files:
            yield Propose(self, git)
        if decision.proposal:
            return
        if decision.retired or decision.wanted:
            yield CarryOver(self)
        if decision.deleted:
            yield DeleteOld(self)
        if decision.awaited:
            yield CarryOverLate(self)
        yield HandOver(self)
        if decision.managed:
            yield ReleaseArgoCd(self)
        yield Close(self)

    def run(self, tools: Tools) -> FinalizeReport:
        """Do all steps. Raises a DrError whose ``stopped`` says how far it came; the engine is never left behind."""
        self.tools, self.session, decision = tools, tools.session, self.decision

        def report(course: Course) -> FinalizeReport:
            return FinalizeReport(
                decision=decision,
                environment=self.environment,
                started=course.started,
                seconds=course.seconds,
                steps=course.steps,
                journal=course.journal,
            )

        def at_end(record: Record) -> Record:
            return record if decision.proposal else record.closed(decision.canonical.name)

        evidence = tools.evidence
        evidence.kept.append(f"{decision.canonical.name}, the Cluster of {self.environment.name} from now on")
        if not decision.proposal:
            evidence.lost += [f"{cluster.name}, deleted with its volumes" for cluster in decision.deleted]
        evidence.versions |= tools.stack.versions
        go_on = decision.request.command(self.environment)
        return run_operation(tools, self.plan, go_on=go_on, report=report, at_end=at_end)

    def prove(self) -> str:
        """Look again, at the last moment. Raises VerificationError ``not-proven``."""
        session, canonical, environment = self.session, self.decision.canonical, self.environment
        now = find_cluster(session.api, canonical.namespace, canonical.name)
        points_to = workloads.external_name(session.api, environment.namespace, environment.service)
        backup = _own_backup(session, canonical)
        deleted, plurals = self.decision.deleted, self.decision.plurals
        users = dependants_api.secret_users(session.api, environment.namespace, deleted, plurals)
        former = _still_there(session, [cluster.name for cluster in deleted])
        faults = [
            *([] if now and now.healthy else [f"{canonical.name} is not healthy"]),
            *([] if now and now.archiving.working else [f"{canonical.name} does not archive"]),
            *([] if points_to == read_write_host(canonical) else [f"{environment.service} points to {points_to}"]),
            *([] if backup else [f"the bucket has no base backup of {canonical.name}"]),
            *(f"{name} can take writes" for name in _writable(session, former, _record(session))),
            *users,
        ]
        if faults:
            raise VerificationError(
                "not-proven",
                f"nothing is deleted: {'; '.join(faults)}",
                "mend it and repeat the command: it goes on where it stopped",
            )
        return f"serves, healthy, archives, base backup {backup}"

    def replace(self, retired: Collection[Dependant], wanted: Collection[Mapping[str, Any]]) -> str:
        """Delete what is ``retired``, and create what is ``wanted``. Raises AccessError."""
        session, plurals = self.session, self.decision.plurals
        for one in retired:
            plural = plurals[one.kind]
            dependants_api.delete_dependant(session.api, one, plural, limit=_DEPENDANT_SECONDS, stop=session.stop)
        for manifest in wanted:
            dependants_api.create(session.api, manifest, plurals[manifest["kind"]])
        made = ", ".join(" ".join(identity(manifest)) for manifest in wanted)
        return f"{made or 'nothing more'} made, {len(retired)} retired"

    def replacing(self, retired: Collection[Dependant], wanted: Collection[Mapping[str, Any]]) -> str:
        """What :meth:`replace` will do."""
        gone, made = ", ".join(map(str, retired)), ", ".join(" ".join(identity(one)) for one in wanted)
        return f"make {made or 'nothing'} for {self.decision.canonical.name}" + (f" in place of {gone}" if gone else "")


class BackUp(StepOf[Finalize]):
    key, title, phase = "back-up", "Back it up", Phase.OTHER
    done_when = "CloudNativePG calls the base backup completed"

    def detail(self) -> str:
        return f"take a first base backup of {self.op.decision.canonical.name} into its archive"

    def run(self) -> str:
        session, say = self.op.session, self.op.tools.reporter.progress
        return take_first_backup(session.api, self.op.decision.canonical, stop=session.stop, say=say)


class Prove(StepOf[Finalize]):
    key, title, phase = "prove", "Prove it", Phase.OTHER
    done_when = "each of these was seen again"

    def detail(self) -> str:
        name = self.op.decision.canonical.name
        return f"{name} serves, is healthy, archives, and has a base backup in the bucket"

    def run(self) -> str:
        return self.op.prove()


class Propose(StepOf[Finalize]):
    key, title, phase = "propose", "Change Git", Phase.OTHER
    done_when = "the branch has the commit"

    def __init__(self, op: Finalize, git: GitSeen) -> None:
        super().__init__(op)
        self._git = git

    def detail(self) -> str:
        files = ", ".join(file.path for file in self._git.rewriting.files)
        pushed = ", and push it" if self.op.decision.request.push else ""
        return f"commit {files} on branch {self._git.branch}{pushed}"

    def undo(self) -> tuple[str, ...]:
        return (f"git -C {self._git.root} branch -D {self._git.branch}",)

    def run(self) -> str:
        git, decision = self._git, self.op.decision
        checkout = Checkout(Path(git.root))
        commit = checkout.branch(git.branch, base=git.revision, files=git.rewriting.files, message=decision.message)
        pushed = f", pushed to {checkout.push(git.branch, remote_of=None)}" if decision.request.push else ""
        return f"commit {commit[:12]} on branch {git.branch}{pushed}"


class CarryOver(StepOf[Finalize]):
    key, title, phase = "carry-over", "Carry over", Phase.OTHER
    done_when = "the old ones are gone and the new ones there"

    def detail(self) -> str:
        first = "see that the API server takes all that has to be created"
        retired, wanted = self._now
        return f"{first}; {self.op.replacing(retired, wanted)}" if retired or wanted else first

    def run(self) -> str:
        decision, session = self.op.decision, self.op.session
        session.records.change(lambda record: record.carrying(decision.wanted), now=session.clock())
        for manifest in decision.wanted:
            dependants_api.try_to_create(session.api, manifest, decision.plurals[manifest["kind"]])
        return self.op.replace(*self._now)

    @property
    def _now(self) -> tuple[list[Dependant], list[Mapping[str, Any]]]:
        """What can be replaced while the old Clusters are there."""
        decision = self.op.decision
        awaited, late = decision.awaited, decision.wanted_late
        return [one for one in decision.retired if one not in awaited], [
            manifest for manifest in decision.wanted if manifest not in late
        ]


class DeleteOld(StepOf[Finalize]):
    key, title, phase = "delete-old", "Delete the old", Phase.OTHER
    done_when = "the Clusters and their volumes are gone"

    @property
    def _names(self) -> str:
        return ", ".join(cluster.name for cluster in self.op.decision.deleted)

    def detail(self) -> str:
        return f"see once more that nobody uses their Secrets, then delete {self._names} with their volumes"

    def run(self) -> str:
        session = self.op.session
        for cluster in self.op.decision.deleted:
            # Each time: the one before may have taken minutes to go.
            self.op.prove()
            delete_cluster(session.api, cluster, limit=_DELETE_SECONDS, stop=session.stop)
        return f"{self._names} gone, with volumes"


class CarryOverLate(StepOf[Finalize]):
    key, title, phase = "carry-over-late", "Carry over the rest", Phase.OTHER
    done_when = "the old ones are gone and the new ones there"

    def detail(self) -> str:
        decision = self.op.decision
        replacing = self.op.replacing(decision.awaited, decision.wanted_late)
        return f"{replacing}: only without their Cluster can they be gone"

    def run(self) -> str:
        return self.op.replace(self.op.decision.awaited, self.op.decision.wanted_late)


class HandOver(StepOf[Finalize]):
    key, title, phase = "hand-over", "Hand over", Phase.OTHER
    done_when = "the state holds the stack and its provider, and nothing else"

    def detail(self) -> str:
        return "take the recovered Clusters and the Service out of Pulumi's state; nothing of them is touched"

    def run(self) -> str:
        self.op.tools.stack.forget()
        self.op.tools.stack.result(_STATE_SECONDS)
        return "the recovery stack holds nothing any more"


class ReleaseArgoCd(StepOf[Finalize]):
    key, title, phase = "release-argocd", "Give it back", Phase.TRAFFIC
    done_when = "the settings are as they were"

    def detail(self) -> str:
        return "let Argo CD manage again what was paused, and see all in sync and healthy"

    def run(self) -> str:
        session, decision = self.op.session, self.op.decision
        return hand_back(session, managers(session, clusters=[decision.canonical.name]), decision.expected)


class Close(StepOf[Finalize]):
    key, title, phase = "close", "Close", Phase.OTHER
    done_when = "the record says so"

    @property
    def _now(self) -> str:
        return f"{self.op.decision.canonical.name} is the Cluster of {self.op.environment.name}"

    def detail(self) -> str:
        return f"clear away what the old leaves without an owner; {self._now} now"

    def run(self) -> str:
        for name in self.op.decision.formers:
            dependants_api.delete_leftovers(self.op.session.api, self.op.environment.namespace, name)
        return self._now
