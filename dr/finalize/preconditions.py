"""What would make it wrong to end an incident: found out before anything is changed, and before anything goes. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dr.cnpg.cluster import ClusterSnapshot
from dr.config.environment import Environment
from dr.core.errors import Problem
from dr.core.target import LaterCommits
from dr.finalize.dependants import GROUP, Dependant
from dr.gitops.argocd import Manager
from dr.gitops.manifests import Rewriting, cluster_of
from dr.kube.objects import ObjectKey, Workload, identity
from dr.run.record import Record
from dr.traffic.writer_model import problems_around

OPERATION = "finalize"


@dataclass(frozen=True, kw_only=True)
class FinalizeRequest:
    """What was asked for. ``checkout`` is a folder of the manifests' repository, empty when none was given; ``branch``
    is the branch to write, empty for the default; ``push`` sends it to where the checkout came from.
    """

    checkout: str = ""
    branch: str = ""
    push: bool = False

    def command(self, environment: Environment) -> str:
        """The command line that asks for this."""
        words = ["--checkout", self.checkout] if self.checkout else []
        words += ["--branch", self.branch] if self.branch else []
        return environment.commands.dr(OPERATION, *words, *(["--push"] if self.push else []))


@dataclass(frozen=True, kw_only=True)
class GitSeen:
    """The manifests at ``revision``, a commit of the checkout: the newest that Argo CD follows, or its own HEAD.

    ``rewriting`` is what is to be written, without files when all is there already; ``differences`` are what an apply
    of the rewritten manifests would change in the cluster, and ``later`` what it should change; ``stranger`` is the
    repository that it should be of, empty when it is; ``branch`` is the branch to write.
    """

    root: str
    revision: str
    branch: str
    rewriting: Rewriting
    dirty: tuple[str, ...] = ()
    stranger: str = ""
    differences: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FinalizeSituation:
    """What was there.

    ``serving`` is the Cluster that the Service points to; ``former`` are those it takes the place of, as far as they
    are there; ``writable`` are those of them that may take writes, with why; ``still_held`` is what this tool holds for
    them;
    ``dependants`` belong to one of all these, and ``plurals`` are the kinds that such objects may have; ``unclear`` are
    objects of other kinds that name one of ``former``; ``secret_users`` tell who uses what would be deleted;
    ``own_backup`` is a base backup of ``serving`` in its own archive, empty when there is none; ``out_of_sync`` is what
    Argo CD says differs from Git; ``left_behind`` has, by the name of a Cluster that goes, what was committed there and
    is not in ``serving``, None where that could not be counted.
    """

    external_name: str | None
    serving: ClusterSnapshot | None
    former: tuple[ClusterSnapshot, ...]
    writable: Mapping[str, str]
    dependants: tuple[Dependant, ...]
    plurals: Mapping[str, str]
    secret_users: tuple[str, ...]
    own_backup: str
    workloads: Mapping[str, Workload | None]
    record: Record
    argocd: tuple[Manager, ...] = ()
    out_of_sync: tuple[str, ...] = ()
    git: GitSeen | None = None
    still_held: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    left_behind: Mapping[str, LaterCommits | None] = field(default_factory=dict)


def finalization_problems(
    environment: Environment, request: FinalizeRequest, situation: FinalizeSituation
) -> Iterator[Problem]:
    yield from problems_around(environment, situation.external_name, situation.workloads)
    record, serving = situation.record, situation.serving
    status = f"{environment.commands.dr('status')} shows the command to continue"
    unfinished = record.unfinished
    if unfinished and unfinished.operation != OPERATION:
        yield Problem(
            code="operation-unfinished",
            cause=f"the {unfinished.operation} that {unfinished.user} began is not done",
            remedy=f"end it first: {status}",
        )
    recovered = {recovery.cluster.name for recovery in record.recoveries}
    if serving is None or serving.name not in recovered:
        points_to = situation.external_name or "nothing"
        yield Problem(
            code="not-switched-over",
            cause=f"the traffic is not at a recovered Cluster: {environment.service} points to {points_to}",
            remedy=f"move it there first, and see that all is well: {status}",
        )
        return
    yield from _problems_of_serving(serving, record)
    if situation.writable:
        yield Problem(
            code="old-still-writes",
            cause="; ".join(f"{name} {why}" for name, why in situation.writable.items())
            + ". What was written there would be lost unseen",
            remedy=f"{environment.commands.dr('switchover')} keeps it still; look at what it has first",
        )
    if situation.still_held:
        yield Problem(
            code="still-held",
            cause=f"{', '.join(situation.still_held)} are still held by a switchover",
            remedy=f"{environment.commands.dr('switchover')} releases them; or restore them by hand",
        )
    if situation.unclear:
        yield Problem(
            code="dependant-not-understood",
            cause=f"{', '.join(situation.unclear)} name a Cluster that would go, in a way that is not understood here",
            remedy=f"let them name {serving.name}, or delete them",
        )
    if situation.secret_users:
        yield Problem(
            code="old-secrets-in-use",
            cause=f"Secrets that would go with the old Cluster are used: {'; '.join(situation.secret_users)}",
            remedy=f"let them use those of {serving.name}",
        )
    yield from _problems_of_git(environment, request, situation)


def _problems_of_serving(serving: ClusterSnapshot, record: Record) -> Iterator[Problem]:
    if not serving.healthy:
        yield Problem(
            code="recovered-not-healthy",
            cause=f"the Cluster {serving.name} is not healthy: {serving.phase or 'it has just been made'}",
            remedy="let it become healthy first; nothing is deleted before",
        )
    if serving.name not in record.verified:
        yield Problem(
            code="recovered-not-verified",
            cause=f"the Cluster {serving.name} has not passed its verification",
            remedy="verify it first; nothing is deleted before",
        )
    if serving.archiving.working is not True:
        yield Problem(
            code="recovered-not-archiving",
            cause=f"the Cluster {serving.name} does not archive: {serving.archiving.message or 'not reported'}",
            remedy="fix it first (credentials, bucket): without an archive it could not be recovered itself",
        )


def _problems_of_git(
    environment: Environment, request: FinalizeRequest, situation: FinalizeSituation
) -> Iterator[Problem]:
    git = situation.git
    if git is None:
        if situation.argocd:
            yield Problem(
                code="checkout-needed",
                cause="Argo CD keeps what Git declares, and Git declares the old Cluster still",
                remedy="give a checkout of that repository with --checkout, and git.manifests in Pulumi.<env>.yaml",
            )
        elif environment.git and not request.checkout:
            yield Problem(
                code="checkout-needed",
                cause=f"Git declares the Cluster in {environment.git.manifests}, and there is no checkout to change it",
                remedy="give a checkout of that repository with --checkout",
            )
        return
    if git.stranger:
        yield Problem(
            code="checkout-of-another-repository",
            cause=f"{git.root} is not a checkout of {git.stranger}",
            remedy="give one that is, with --checkout",
        )
        return
    documents = [document for document in git.rewriting.documents if cluster_of(document)]
    if unknown := [" ".join(identity(one)) for one in documents if one["kind"] not in situation.plurals]:
        yield Problem(
            code="dependant-kind-missing",
            cause=f"Git declares {', '.join(unknown)}, and the API server has no such kind that belongs to a Cluster",
            remedy="take them out of that folder, or install the version of CloudNativePG that has the kind",
        )
    if git.dirty:
        yield Problem(
            code="checkout-dirty",
            cause=f"{git.root} has changes that are not committed: {', '.join(git.dirty)}",
            remedy="commit or stash them",
        )
    # A parent differs from Git by the very pause of its children.
    ours = {str(manager) for manager in situation.argocd}
    others = (
        ()
        if git.rewriting.files
        else sorted(set(situation.out_of_sync) - expected_differences(environment, situation) - ours)
    )
    if git.differences or others:
        found = [*git.differences, *(f"{other} differs from Git" for other in others)]
        yield Problem(
            code="git-disagrees",
            cause=f"Git and the cluster do not agree: {'; '.join(found)}",
            remedy="make Git and the cluster agree: Argo CD would change this as soon as auto-sync is re-enabled",
        )


def expected_differences(environment: Environment, situation: FinalizeSituation) -> frozenset[str]:
    """The objects that may differ from Git, in the words in which Argo CD's differences are shown: those that are about
    to go or to be made, and those that were compared more closely and lack only Argo CD's own mark.
    """
    documents = situation.git.rewriting.documents if situation.git else ()
    declared = {
        str(ObjectKey("", document["kind"], environment.namespace, document["metadata"]["name"]))
        for document in documents
    }
    dependants = {str(one.key) for one in situation.dependants}
    return frozenset(
        declared | dependants | {str(ObjectKey(GROUP, "Cluster", one.namespace, one.name)) for one in situation.former}
    )
