"""A full rebuild, decided: what survives, what is made anew, in which steps. Pure; the doing is in operations.

Each step looks before it acts, so that the same command is the first run, the resumed one, and the one that finds
nothing to do.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dr.archive.survivors import Survivor
from dr.archive.wal_needed import warnings_of_wal
from dr.config.environment import Environment
from dr.core.errors import Problem, RefusedError
from dr.core.history import Estimate, OperationEntry, estimate
from dr.core.plan import Plan, Step, Text
from dr.core.text import about_seconds_of

OPERATION = "full-rebuild"

_NOTHING_COMES = datetime.max.replace(tzinfo=UTC)
"""What a lost database has not archived, it never will: a hole in its archive is there to stay, however new."""

EXPERIENCE: Mapping[str, float] = {
    "survivors": 5,
    "durable": 60,
    "platform": 15 * 60,
    "kubeconfig": 5,
    "argocd": 3 * 60,
    "operator": 3 * 60,
    "database": 3 * 60,
    "recover": 10 * 60,
    "switchover": 2 * 60,
    "smoke-test": 30,
}
"""Seconds, for a platform that was never rebuilt: of GKE's, 5 to 8 minutes are the control plane's, the rest network,
NAT and two node pools; the recovery's are the runbook's. docs/rebuild.md has the sum.
"""


@dataclass(frozen=True, kw_only=True)
class RebuildRequest:
    """What was asked for. ``region``, and ``zone`` in it, are where to build, empty for where it was; ``durable`` is
    the stack whose bucket holds the backups, empty for the environment's own.
    """

    region: str = ""
    zone: str = ""
    durable: str = ""

    def command(self, environment: Environment) -> str:
        """The command line that asks for this again: it is the one to go on with, too."""
        parts = [f"python -m dr {OPERATION}", "--env", environment.name]
        parts += ["--region", self.region] if self.region else []
        parts += ["--zone", self.zone] if self.zone else []
        parts += ["--durable", self.durable] if self.durable else []
        return " ".join(parts)


@dataclass(frozen=True, kw_only=True)
class RebuildSituation:
    """What was seen. ``cluster`` tells how the environment's cluster is, in words, ``cluster_answers`` whether it does;
    ``survivors`` are the archives, the newest first; ``loss`` is what is lost without any; ``durable``, ``platform``
    and ``argocd`` tell what becomes of each stack; ``history`` are the rebuilds that were tried before.
    """

    cluster: str
    cluster_answers: bool
    survivors: tuple[Survivor, ...]
    loss: str
    durable: str
    platform: str
    argocd: str
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    history: tuple[OperationEntry, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RebuildDecision:
    """All that was decided; ``source`` is the archive to recover from."""

    request: RebuildRequest
    source: Survivor
    estimate: Estimate
    plan: Plan = field(repr=False)


def decide_rebuild(environment: Environment, request: RebuildRequest, situation: RebuildSituation) -> RebuildDecision:
    """The decision for ``request``. Raises RefusedError with every precondition that does not hold."""
    problems = list(situation.problems)
    if not situation.survivors:
        problems.insert(
            0,
            Problem(
                code="nothing-to-restore",
                cause=situation.loss,
                remedy="look for other copies before anything is built (gcloud storage ls --soft-deleted, another "
                "bucket, a disk's snapshot): a new database in its place would archive to the same folder",
            ),
        )
    if problems:
        raise RefusedError(problems)
    source = situation.survivors[0]
    steps = tuple(_steps(environment, request, source))
    expected = estimate([step.key for step in steps], situation.history, experience=EXPERIENCE)
    return RebuildDecision(
        request=request,
        source=source,
        estimate=expected,
        plan=Plan(
            operation=OPERATION,
            environment=environment.name,
            facts=_facts(environment, situation, source, expected),
            steps=steps,
            warnings=tuple(_warnings(environment, situation, source)),
        ),
    )


def _facts(
    environment: Environment, situation: RebuildSituation, source: Survivor, expected: Estimate
) -> dict[str, str]:
    return {
        "Environment": f"{environment.name} (context {environment.kubernetes.context})",
        "Cluster now": situation.cluster,
        "Survives": str(source),
        "Durable stack": situation.durable,
        "Platform stack": situation.platform,
        "Argo CD": situation.argocd,
        "Database": f"at most {about_seconds_of(60 * environment.timeouts.rebuild_minutes)} for the Cluster that "
        "Git declares; recovered from the archive unless it proves to be restored already",
        "Expected": f"{about_seconds_of(expected.total.total_seconds())}, {_known(expected)}",
    }


def _known(expected: Estimate) -> str:
    measured, all_steps = len(expected.measured), len(expected.seconds)
    if not measured:
        return "by experience: this was never done here"
    return f"{measured} of {all_steps} steps as they took before, the others by experience"


def _warnings(environment: Environment, situation: RebuildSituation, source: Survivor) -> Iterator[str]:
    if situation.cluster_answers:
        yield f"The cluster of {environment.name} answers. What is there is kept; only what is missing is made."
    if len(situation.survivors) > 1:
        others = ", ".join(survivor.server_name for survivor in situation.survivors[1:])
        yield f"Other archives that can be recovered from, and were written to less lately: {others}."
    yield (
        "What was committed and not archived when the cluster was lost is lost: "
        f"everything after {source.window.end.segment}."
    )
    base = source.window.backups[-1]
    yield from warnings_of_wal(source.archive, base, None, seen_at=_NOTHING_COMES, live="")
    yield from situation.warnings


def _steps(environment: Environment, request: RebuildRequest, source: Survivor) -> Iterator[Step]:
    yield Text(
        key="survivors",
        title="Look at what survives",
        detail=f"the bucket {environment.backup.bucket} and the archive {source.server_name} in it",
        done_when="a base backup that can be used is there",
    )
    yield Text(
        key="durable",
        title="Durable stack",
        detail="bucket and backup account: what exists is adopted, never made anew",
        done_when="Pulumi has nothing left to change",
    )
    where = f" in {request.region}" if request.region else ""
    yield Text(
        key="platform",
        title="Platform stack",
        detail=f"network, GKE, node pools, Workload Identity{where}",
        done_when="Pulumi has nothing left to change",
    )
    yield Text(
        key="kubeconfig",
        title="Credentials",
        detail=f"a kubeconfig with the context {environment.kubernetes.context} for the new cluster",
        done_when="its API server answers",
    )
    yield Text(
        key="argocd",
        title="Argo CD",
        detail="its chart, the repository's credentials, and the root Application",
        done_when="the root Application is there",
    )
    yield Text(
        key="operator",
        title="Operator",
        detail="Argo CD brings the platform's own applications; CloudNativePG's CRD and operator are waited for",
        done_when="the CRD is established and the operator is available",
    )
    yield Text(
        key="database",
        title="Database",
        detail="the Cluster that Git declares, and whether its data are those of the backups",
        done_when="it is known: restored, or bootstrapped fresh",
    )
    yield Text(
        key="recover",
        title="Recover",
        detail=f"as python -m dr latest does, from the archive {source.server_name}; not if it is restored already",
        done_when="the recovered Cluster is verified",
    )
    yield Text(
        key="switchover",
        title="Switchover",
        detail="as python -m dr switchover does",
        done_when="the Service points to the recovered Cluster",
        undo=(f"python -m dr rollback --env {environment.name}",),
    )
    if environment.smoke_test_url:
        yield Text(
            key="smoke-test",
            title="Smoke test",
            detail=f"{environment.smoke_test_url} answers 200",
            done_when="it does",
        )
