"""The steps of a finalize, and what they share."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from dr.cnpg.backups import take_first_backup
from dr.cnpg.cluster import read_write_host
from dr.cnpg.clusters import delete_cluster, find_cluster, patch_spec
from dr.cnpg.recovered import as_patch
from dr.core.commands import command_line
from dr.core.errors import VerificationError
from dr.core.plan import Phase, StepOf
from dr.finalize import dependants_api
from dr.finalize.dependants import Dependant, Kinds
from dr.finalize.observe import own_backup, record_of, still_there, writable
from dr.finalize.plan import FinalizeDecision
from dr.finalize.preconditions import OPERATION, GitSeen
from dr.gitops.argocd_pause import hand_back, managers
from dr.gitops.checkout import Checkout
from dr.kube import workloads
from dr.kube.objects import identity
from dr.run.operation import Operation, OperationContext

_DELETE_SECONDS = 300
_DEPENDANT_SECONDS = 60
_STATE_SECONDS = 120


class Finalizing(Operation):
    """What the steps share: what was decided, the last look before a deletion, and how dependants are replaced."""

    context: OperationContext

    def __init__(self, decision: FinalizeDecision) -> None:
        self.decision = decision
        super().__init__(OPERATION, decision)

    def prove(self) -> str:
        """Look again, at the last moment. Raises VerificationError ``not-proven``."""
        session, canonical, environment = self.session, self.decision.canonical, self.environment
        now = find_cluster(session.api, canonical.namespace, canonical.name)
        points_to = workloads.external_name(session.api, environment.namespace, environment.service)
        backup = own_backup(session, canonical)
        deleted, plurals = self.decision.deleted, self.decision.plurals
        users = dependants_api.secret_users(session.api, environment.namespace, deleted, plurals)
        former = still_there(session, [cluster.name for cluster in deleted])
        known = {one.uid for one in self.decision.retired}
        kinds = Kinds(plurals=plurals, unclear={})
        dependants = dependants_api.list_dependants(session.api, environment.namespace, self.decision.formers, kinds)
        faults = [
            *([] if now and now.healthy else [f"{canonical.name} is not healthy"]),
            *([] if now and now.archiving.working else [f"{canonical.name} does not archive"]),
            *([] if points_to == read_write_host(canonical) else [f"{environment.service} points to {points_to}"]),
            *([] if backup else [f"the bucket has no base backup of {canonical.name}"]),
            *(f"{name} {why}" for name, why in writable(session, former, record_of(session)).items()),
            *users,
            *(f"{one} of {one.cluster} was made since the plan" for one in dependants if one.uid not in known),
        ]
        if faults:
            raise VerificationError(
                "not-proven",
                f"nothing is deleted: {'; '.join(faults)}",
                "fix it and repeat the command: it continues where it stopped",
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


class BackUp(StepOf[Finalizing]):
    key, title, phase = "back-up", "Back it up", Phase.OTHER
    done_when = "CloudNativePG calls the base backup completed"

    def detail(self) -> str:
        return f"take a first base backup of {self.op.decision.canonical.name} into its archive"

    def run(self) -> str:
        session, say = self.op.session, self.op.context.reporter.progress
        return take_first_backup(session.api, self.op.decision.canonical, stop=session.stop, say=say)


class Prove(StepOf[Finalizing]):
    key, title, phase = "prove", "Pre-delete checks", Phase.OTHER
    done_when = "each of these was seen again"

    def detail(self) -> str:
        name = self.op.decision.canonical.name
        return f"{name} serves, is healthy, archives, and has a base backup in the bucket"

    def run(self) -> str:
        return self.op.prove()


class Propose(StepOf[Finalizing]):
    key, title, phase = "propose", "Change Git", Phase.OTHER
    done_when = "the branch has the commit"

    def __init__(self, op: Finalizing, git: GitSeen) -> None:
        super().__init__(op)
        self._git = git

    def detail(self) -> str:
        files = ", ".join(file.path for file in self._git.rewriting.files)
        pushed = ", and push it" if self.op.decision.request.push else ""
        return f"commit {files} on branch {self._git.branch}{pushed}"

    def undo(self) -> tuple[str, ...]:
        return (command_line("git", "-C", self._git.root, "branch", "-D", self._git.branch),)

    def run(self) -> str:
        git, decision = self._git, self.op.decision
        checkout = Checkout(Path(git.root))
        commit = checkout.branch(git.branch, base=git.revision, files=git.rewriting.files, message=decision.message)
        pushed = f", pushed to {checkout.push(git.branch, remote_of=None)}" if decision.request.push else ""
        return f"commit {commit[:12]} on branch {git.branch}{pushed}"


class CarryOver(StepOf[Finalizing]):
    key, title, phase = "carry-over", "Recreate dependants", Phase.OTHER
    done_when = "the old ones are gone and the new ones there"

    def detail(self) -> str:
        first = "check that the API server accepts all that must be created"
        retired, wanted = self._now
        return f"{first}; {self.op.replacing(retired, wanted)}" if retired or wanted else first

    def run(self) -> str:
        decision, session = self.op.decision, self.op.session
        session.records.change(lambda record: record.carrying(decision.carried), now=session.clock())
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


class DeleteOld(StepOf[Finalizing]):
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


class PutBack(StepOf[Finalizing]):
    key, title, phase = "put-back", "Put back", Phase.OTHER
    done_when = "the Cluster's specification says so"

    @property
    def _fields(self) -> str:
        return ", ".join(self.op.decision.put_back)

    def detail(self) -> str:
        return f"give {self.op.decision.canonical.name} what its recovery left out: {self._fields}"

    def run(self) -> str:
        canonical, fields = self.op.decision.canonical, self.op.decision.put_back
        patch_spec(self.op.session.api, canonical.namespace, canonical.name, as_patch(fields))
        return f"{self._fields} as before"


class CarryOverLate(StepOf[Finalizing]):
    key, title, phase = "carry-over-late", "Recreate the other dependants", Phase.OTHER
    done_when = "the old ones are gone and the new ones there"

    def detail(self) -> str:
        decision = self.op.decision
        replacing = self.op.replacing(decision.awaited, decision.wanted_late)
        return f"{replacing}: only without their Cluster can they be gone"

    def run(self) -> str:
        return self.op.replace(self.op.decision.awaited, self.op.decision.wanted_late)


class HandOver(StepOf[Finalizing]):
    key, title, phase = "hand-over", "Hand over", Phase.OTHER
    done_when = "the state holds the stack and its provider, and nothing else"

    def detail(self) -> str:
        return "take the recovered Clusters and the Service out of Pulumi's state; nothing of them is touched"

    def run(self) -> str:
        self.op.context.stack.forget()
        self.op.context.stack.result(_STATE_SECONDS)
        return "the recovery stack holds nothing any more"


class ReleaseArgoCd(StepOf[Finalizing]):
    key, title, phase = "release-argocd", "Resume Argo CD", Phase.TRAFFIC
    done_when = "the settings are as they were"

    def detail(self) -> str:
        return "let Argo CD manage again what was paused, and see all in sync and healthy"

    def run(self) -> str:
        session, decision = self.op.session, self.op.decision
        return hand_back(session, managers(session, clusters=[decision.canonical.name]), decision.expected)


class Close(StepOf[Finalizing]):
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
