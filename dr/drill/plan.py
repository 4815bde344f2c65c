"""A drill, decided: the recovery that a disaster would need, tried in advance into a scratch Cluster. Pure.

It is as honest as a drill can be: the source is not asked to help. Nothing is sealed first, so what a recovery to the
end of the WAL has lost is what a disaster at that moment would have lost.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dr.archive.contents import Archive, BaseBackup
from dr.archive.promise import Promise, promise_of
from dr.archive.wal_needed import warnings_of_wal
from dr.archive.window import problems_of_end, windows
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.fetch_ahead import Fetching, fetching_for, not_waited_for
from dr.cnpg.recovered import identity_warning
from dr.cnpg.scratch import derive_scratch_cluster, warnings_of_scratch
from dr.config.environment import Environment
from dr.config.names import DRILL
from dr.core.errors import Problem, RefusedError
from dr.core.target import LaterCommits, LsnTarget, RecoveryTarget
from dr.core.text import exact_moment_of, mebibytes_of
from dr.recovery.preconditions import preconditions
from dr.recovery.situation import RecoveryRequest, Situation

OPERATION = "drill"

_NOT_OURS = {"service-missing", "workload-missing", "target-after-archive"}
"""No writer is stopped and the traffic is not moved; the archive's end is judged here, as the source does not help."""


@dataclass(frozen=True, kw_only=True)
class DrillRequest:
    """What was asked for: ``target``, None for the end of the WAL. ``random`` says that it was chosen at random."""

    target: RecoveryTarget | None
    source: str
    source_given: bool = False
    random: bool = False
    quick: bool = False

    def command(self, environment: Environment) -> str:
        """The command line that asks for this again; a random one is drawn again."""
        words: list[str] = []
        if self.random:
            words.append("--random")
        elif self.target is not None:
            words += self.target.options
        else:
            words.append("--latest")
        if self.source_given:
            words += ["--source", self.source]
        return environment.commands.dr(OPERATION, *words, *(["--quick"] if self.quick else []))


@dataclass(frozen=True, kw_only=True)
class DrillSituation:
    """What was there. ``recovery`` is what a recovery decides on, as far as a drill needs it; ``orphans`` are scratch
    Clusters that earlier drills of this environment have left; ``at_work`` is the operator who has an operation under
    way, empty when nobody has.
    """

    recovery: Situation
    name: str
    orphans: tuple[str, ...] = ()
    at_work: str = ""


@dataclass(frozen=True, kw_only=True)
class DrillDecision:
    """All that was decided; ``commits_after_target`` are the transactions that a target leaves out, None where not
    counted; ``fetching`` says how WAL is fetched, as in a recovery, None where barman is left alone; ``promise`` is
    where the recovery has to end, None where not known.
    """

    environment: Environment = field(repr=False)
    request: DrillRequest
    source: ClusterSnapshot
    base: BaseBackup
    scratch: Mapping[str, Any]
    orphans: tuple[str, ...]
    server_names: frozenset[str]
    external_name: str | None
    fetching: Fetching | None
    commits_after_target: LaterCommits | None
    promise: Promise | None
    facts: Mapping[str, str]
    warnings: tuple[str, ...]

    @property
    def scratch_name(self) -> str:
        """The scratch Cluster's name."""
        return str(self.scratch["metadata"]["name"])


def random_target(archive: Archive | None, draw: Callable[[int], int]) -> LsnTarget | None:
    """A position that the archive can certainly reach, at random: ``draw(n)`` gives one of 0 to n-1. None where there
    is but one, the end.

    A position and not a time: PostgreSQL stops at a time only where it meets a later commit, and whether there is one
    is not known without reading the WAL.
    """
    usual = [window for window in windows(archive) if window.by_default] if archive else []
    if archive is None or not usual:
        return None
    window = usual[-1]
    first, last = window.backups[0].end_lsn + 1, window.end.lsn - archive.segment_size
    return LsnTarget(first + draw(last - first)) if last > first else None


def decide_drill(environment: Environment, request: DrillRequest, situation: DrillSituation) -> DrillDecision:
    """The decision for ``request``. Raises RefusedError with every precondition that does not hold."""
    problems = list(problems_of_drill(environment, request, situation))
    recovery = situation.recovery
    source, catalogue = recovery.source, recovery.catalogue
    store = source.store if source else None
    base = catalogue.base_for(request.target) if catalogue else None
    if problems or source is None or store is None or catalogue is None or base is None:
        raise RefusedError(problems)
    manifest = derive_scratch_cluster(
        source,
        store,
        name=situation.name,
        target=request.target,
        base=base.backup_id,
        purpose=DRILL,
        environment=environment.name,
    )
    to_the_end = request.target is None
    return DrillDecision(
        environment=environment,
        request=request,
        source=source,
        base=base,
        scratch=manifest,
        orphans=situation.orphans,
        server_names=catalogue.server_names,
        external_name=recovery.external_name,
        fetching=fetching_for(manifest, recovery.archive, base, to_the_end=to_the_end),
        commits_after_target=recovery.commits_after_target,
        promise=promise_of(recovery.archive, base, request.target),
        facts=_facts(environment, request, situation, base),
        warnings=(
            *_warnings(environment, request, situation, base),
            *not_waited_for(manifest, to_the_end=to_the_end),
        ),
    )


def problems_of_drill(environment: Environment, request: DrillRequest, situation: DrillSituation) -> Iterator[Problem]:
    """Every precondition that does not hold; an incident first, as everything else can wait for that."""
    recovery = situation.recovery
    unfinished = recovery.record.unfinished if recovery.record else None
    if situation.at_work or unfinished:
        who = situation.at_work or (f"the {unfinished.operation} that {unfinished.user} began" if unfinished else "")
        yield Problem(
            code="incident-under-way",
            cause=f"a drill does not get in the way of the real thing: {who} is not done on {environment.name}",
            remedy=f"drill when it is over: {environment.commands.dr('status')}",
        )
    asked = RecoveryRequest(
        target=request.target, source=request.source, recovered_name=situation.name, seal=False, trial=True
    )
    # Nobody logs in to the scratch Cluster with the application's password.
    found = preconditions(environment, asked, replace(recovery, app_secret_exists=True))
    yield from (problem for problem in found if problem.code not in _NOT_OURS)
    base = recovery.catalogue.base_for(request.target) if recovery.catalogue else None
    if base is not None and recovery.archive is not None:
        for problem in problems_of_end(recovery.archive, base, request.target):
            end = problem.cause.partition("the last segment, ")[2]
            yield Problem(
                code="target-after-archive",
                cause=f"a drill has only what is archived, and the last segment, {end}",
                remedy="choose an earlier target, or drill to the end of the WAL: --latest",
            )


def _facts(
    environment: Environment, request: DrillRequest, situation: DrillSituation, base: BaseBackup
) -> dict[str, str]:
    size = f", {mebibytes_of(base.size)}" if base.size else ""
    lot = ", chosen at random" if request.random else ""
    gone = situation.recovery.stand_in_origin
    return {
        "Environment": f"{environment.name} (context {environment.kubernetes.context})",
        "Target": f"{request.target or 'the end of the archived WAL'}{lot}",
        "Source": f"{environment.namespace}/{request.source}, "
        + (f"which is gone: known by {gone}" if gone else "which is only read from"),
        "Base backup": f"{base.backup_id}, ended {exact_moment_of(base.end)}{size}",
        "Scratch": f"{environment.namespace}/{situation.name}, one instance, no traffic, archives nothing, deleted in "
        "any case",
        "Limit": f"{environment.timeouts.recovery_minutes:g} min from creation to healthy",
        "Goal": f"an RTO of {environment.goals.rto_minutes:g} min",
    }


def _warnings(
    environment: Environment, request: DrillRequest, situation: DrillSituation, base: BaseBackup
) -> Iterator[str]:
    recovery = situation.recovery
    if recovery.archive is not None:
        live = recovery.source.system_id if recovery.source else ""
        yield from warnings_of_wal(recovery.archive, base, request.target, seen_at=recovery.seen_at, live=live)
    if recovery.source is not None:
        yield from identity_warning(
            recovery.source, namespace=environment.namespace, name=situation.name, project=environment.gcp_project
        )
        yield from warnings_of_scratch(recovery.source)
    if recovery.database_time is None:
        yield "The source's primary does not answer: what would have been lost, and its rows, cannot be compared."
