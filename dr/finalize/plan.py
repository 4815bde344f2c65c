"""Making the recovered Cluster the canonical one, decided. Pure.

It ends the incident: from here on Git declares the recovered Cluster, and the one that was broken is deleted. So it is
the one operation that takes data away, and it begins only when everything that takes its place is proven.

Where Argo CD manages the Cluster, Git comes first and people have to merge the change: then the plan is only to write
it, and the same command continues once Argo CD has seen it merged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dr.cnpg.cluster import ClusterSnapshot, read_write_host
from dr.cnpg.recovered import as_patch, put_back
from dr.config.environment import Environment
from dr.core.errors import RefusedError
from dr.finalize.dependants import GROUP, Dependant, successors, unmade
from dr.finalize.preconditions import (
    FinalizeRequest,
    FinalizeSituation,
    GitSeen,
    expected_differences,
    finalization_problems,
)
from dr.kube.objects import identity
from dr.run.record import Record


@dataclass(frozen=True, kw_only=True)
class FinalizeDecision:
    """All that was decided. ``proposal`` says that only Git is written; ``formers`` are the names of all Clusters that
    were replaced, ``deleted`` those to delete; ``retired`` are the dependants to delete, ``wanted`` the manifests of
    those to make, ``plurals`` those of their kinds; ``put_back`` are the fields of the Cluster's ``spec``, each a path,
    that its recovery left out and that it gets when the old one is gone, none where Argo CD applies them; ``expected``
    are the differences from Git that this settles; ``message`` is the commit's; ``backed_up`` says that the Cluster has
    a base backup of its own, ``managed`` that Argo CD manages it.
    """

    environment: Environment = field(repr=False)
    request: FinalizeRequest
    canonical: ClusterSnapshot
    proposal: bool
    formers: tuple[str, ...]
    deleted: tuple[ClusterSnapshot, ...]
    retired: tuple[Dependant, ...]
    wanted: tuple[Mapping[str, Any], ...]
    plurals: Mapping[str, str]
    put_back: Mapping[str, Any]
    git: GitSeen | None
    expected: frozenset[str]
    message: str
    backed_up: bool
    managed: bool
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def awaited(self) -> tuple[Dependant, ...]:
        """Those of ``retired`` that can be gone only after their Cluster: its primary takes their finalizers away, and
        a hibernated or fenced Cluster has none. Once it is deleted, the operator does so (CloudNativePG's
        ``finalizers_delete.go``).
        """
        return tuple(one for one in self.retired if one.awaited)

    @property
    def wanted_late(self) -> tuple[Mapping[str, Any], ...]:
        """Those of ``wanted`` whose name one of ``awaited`` still has."""
        taken = {(one.kind, one.name) for one in self.awaited}
        return tuple(manifest for manifest in self.wanted if identity(manifest) in taken)

    @property
    def carried(self) -> tuple[Mapping[str, Any], ...]:
        """What a later run has to know that finds the old Clusters gone."""
        metadata = {"name": self.canonical.name, "namespace": self.canonical.namespace}
        cluster = {
            "apiVersion": f"{GROUP}/v1",
            "kind": "Cluster",
            "metadata": metadata,
            "spec": as_patch(self.put_back),
        }
        return (*self.wanted, cluster) if self.put_back else self.wanted

    @property
    def to_type(self) -> str:
        """What has to be typed to agree: the first of the Clusters that go."""
        return self.formers[0] if self.formers else self.canonical.name


def former_names(environment: Environment, record: Record, serving: str) -> tuple[str, ...]:
    """The Clusters that ``serving`` takes the place of: the one it all began with, and every recovery of it."""
    recovered = [recovery.cluster.name for recovery in record.recoveries]
    first = record.canonical or environment.source_cluster
    return tuple(name for name in dict.fromkeys([first, *recovered]) if name != serving)


def decide_finalization(
    environment: Environment, request: FinalizeRequest, situation: FinalizeSituation
) -> FinalizeDecision:
    """The decision for ``request``. Raises RefusedError with every precondition that does not hold."""
    problems = list(finalization_problems(environment, request, situation))
    serving, git = situation.serving, situation.git
    if problems or serving is None:
        raise RefusedError(problems)
    proposal = bool(git and git.rewriting.files and situation.argocd)
    formers = former_names(environment, situation.record, serving.name)
    retired = tuple(one for one in situation.dependants if one.cluster != serving.name)
    # What an earlier run has deleted and not made yet is in the record alone; Git has the last word on the rest.
    documents = [*situation.record.carried, *(git.rewriting.documents if git else ())]
    wanted = successors(
        retired,
        documents,
        cluster=serving.name,
        namespace=environment.namespace,
        held=situation.record.held,
    )
    decision = FinalizeDecision(
        environment=environment,
        request=request,
        canonical=serving,
        proposal=proposal,
        formers=formers,
        deleted=situation.former,
        retired=retired,
        wanted=tuple(unmade(wanted, situation.dependants, cluster=serving.name)),
        plurals=situation.plurals,
        put_back={} if situation.argocd else _put_back(serving, formers, situation),
        git=git,
        expected=expected_differences(environment, situation),
        message=_message(environment, serving, formers, git),
        backed_up=bool(situation.own_backup),
        managed=bool(situation.argocd),
    )
    return replace(decision, facts=_facts(environment, decision, situation), warnings=tuple(_warnings(decision)))


def _put_back(serving: ClusterSnapshot, formers: tuple[str, ...], situation: FinalizeSituation) -> dict[str, Any]:
    """What the recovery left out and the Cluster does not have yet: as Git says, else as the first of the Clusters that
    go had it, or what an earlier run has kept of it.
    """
    documents = situation.git.rewriting.documents if situation.git else ()
    carried = [one["spec"] for one in situation.record.carried if identity(one) == ("Cluster", serving.name)]
    live = [cluster.spec for cluster in situation.former if cluster.name == formers[0]]
    declared = [one["spec"] for one in documents if one["kind"] == "Cluster"]
    spec: Mapping[str, Any] = next(iter([*declared, *carried, *live]), {})
    return put_back(spec, serving)


def _facts(environment: Environment, decision: FinalizeDecision, situation: FinalizeSituation) -> dict[str, str]:
    canonical, git = decision.canonical, decision.git
    facts = {
        "Environment": f"{environment.name} (context {environment.kubernetes.context})",
        "Canonical": f"{canonical.namespace}/{canonical.name}, which serves, archives to {_archive(canonical)}",
        "Its base backup": situation.own_backup or "none yet: one is taken first",
    }
    if git:
        there = "says so already" if not git.rewriting.files else f"branch {git.branch} of {git.root}"
        facts["Git"] = f"{there}, from commit {git.revision[:12]}"
        for number, change in enumerate(git.rewriting.changes, start=1):
            facts[f"Change {number}"] = change
    goes = ", ".join(cluster.name for cluster in decision.deleted) or "nothing is left of them"
    facts["Deleted later" if decision.proposal else "Deleted for good"] = f"{goes}, with volumes and Secrets"
    for name, commits in situation.left_behind.items():
        facts[f"Only in {name}"] = f"{commits}" if commits else "could not be counted: none of its instances runs"
    if decision.put_back:
        facts["Put back"] = f"{', '.join(decision.put_back)}, which the recovery left out"
    facts["Kept"] = "all that lies in the bucket"
    return facts


def _archive(cluster: ClusterSnapshot) -> str:
    return f"{cluster.store.url}/{cluster.store.server_name}" if cluster.store else "no object store"


def _warnings(decision: FinalizeDecision) -> Iterator[str]:
    if decision.git is None:
        yield "No Git repository is configured: change what declares the old Cluster by hand."
    elif mentions := decision.git.rewriting.mentions:
        yield f"The old name stands in other places of Git too; look at them: {'; '.join(mentions)}"
    declared = {identity(one) for one in (decision.git.rewriting.documents if decision.git else ())}
    moved = [" ".join(identity(one)) for one in decision.wanted if identity(one) not in declared]
    if decision.git and moved:
        yield (
            f"Not in Git's folder, and moved as they are: {', '.join(moved)}. What declares them elsewhere must "
            f"name {decision.canonical.name}."
        )
    if decision.git and decision.git.later and decision.managed:
        yield f"To be applied from Git once this is done: {'; '.join(decision.git.later)}."
    if decision.deleted and not decision.proposal:
        names = ", ".join(cluster.name for cluster in decision.deleted)
        yield f"There is no way back from this: {names} and what was never recovered from it will be gone."


def _message(
    environment: Environment, canonical: ClusterSnapshot, formers: tuple[str, ...], git: GitSeen | None
) -> str:
    """The commit's message."""
    changes = "\n".join(f"- {change}" for change in git.rewriting.changes) if git else ""
    return (
        f"{canonical.name} is the database of {environment.name}\n\n"
        f"{', '.join(formers) or 'The former database'} was recovered into {canonical.name}, which serves.\n\n"
        f"{changes}\n\n"
        f"{environment.service} leads to {read_write_host(canonical)}.\n"
    )
