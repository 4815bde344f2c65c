"""A full rebuild, decided: what survives, what is recreated. Pure.

Each step looks before it acts, so that the same command is the first run, the resumed one, and the one that finds
nothing to do.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dr.archive.usable_archives import UsableArchive
from dr.archive.wal_needed import warnings_of_wal
from dr.config.environment import Environment
from dr.core.commands import command_line
from dr.core.errors import Problem, RefusedError
from dr.core.history import OperationEntry
from dr.core.text import about_seconds_of

OPERATION = "full-rebuild"

_NOTHING_COMES = datetime.max.replace(tzinfo=UTC)
"""What a lost database has not archived, it never will: a hole in its archive is there to stay, however new."""


@dataclass(frozen=True, kw_only=True)
class RebuildRequest:
    """What was asked for. ``region``, and ``zone`` in it, are where to build, empty for where it was; ``durable`` is
    the stack whose bucket holds the backups, empty for the environment's own.
    """

    region: str = ""
    zone: str = ""
    durable: str = ""

    def command(self, environment: Environment) -> str:
        """The command line that asks for this again: it is the one to continue with, too."""
        given = {"--region": self.region, "--zone": self.zone, "--durable": self.durable}
        words = (word for option, value in given.items() if value for word in (option, value))
        return environment.commands.dr(OPERATION, *words)


@dataclass(frozen=True, kw_only=True)
class RebuildSituation:
    """What was seen. ``cluster`` tells how the environment's cluster is, in words, ``cluster_answers`` whether it does;
    ``usable_archives`` are the archives, the newest first; ``loss`` is what is lost without any; ``durable``,
    ``platform`` and ``argocd`` tell what becomes of each stack; ``history`` are the rebuilds that were tried before.
    """

    cluster: str
    cluster_answers: bool
    usable_archives: tuple[UsableArchive, ...]
    loss: str
    durable: str
    platform: str
    argocd: str
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    history: tuple[OperationEntry, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RebuildDecision:
    """All that was decided; ``source`` is the archive to recover from, ``history`` are the rebuilds that were tried
    before.
    """

    environment: Environment = field(repr=False)
    request: RebuildRequest
    source: UsableArchive
    history: tuple[OperationEntry, ...] = field(repr=False)
    facts: Mapping[str, str]
    warnings: tuple[str, ...]


def decide_rebuild(environment: Environment, request: RebuildRequest, situation: RebuildSituation) -> RebuildDecision:
    """The decision for ``request``. Raises RefusedError with every precondition that does not hold."""
    problems = list(situation.problems)
    if not situation.usable_archives:
        deleted = command_line("gcloud", "storage", "ls", "--soft-deleted", environment.backup.url)
        problems.insert(
            0,
            Problem(
                code="nothing-to-restore",
                cause=situation.loss,
                remedy=f"look for other copies before anything is built ({deleted}, another bucket, a disk's "
                "snapshot): a new database in its place would archive to the same folder",
            ),
        )
    if problems:
        raise RefusedError(problems)
    source = situation.usable_archives[0]
    return RebuildDecision(
        environment=environment,
        request=request,
        source=source,
        history=situation.history,
        facts=_facts(environment, situation, source),
        warnings=tuple(_warnings(environment, situation, source)),
    )


def _facts(environment: Environment, situation: RebuildSituation, source: UsableArchive) -> dict[str, str]:
    limit = about_seconds_of(60 * environment.timeouts.rebuild_minutes)
    return {
        "Environment": f"{environment.name} (context {environment.kubernetes.context})",
        "Cluster now": situation.cluster,
        "Survives": str(source),
        "Durable stack": situation.durable,
        "Platform stack": situation.platform,
        "Argo CD": situation.argocd,
        "Database": f"at most {limit} for the Cluster that Git declares; recovered from "
        "the archive unless it proves to be restored already",
    }


def _warnings(environment: Environment, situation: RebuildSituation, source: UsableArchive) -> Iterator[str]:
    if situation.cluster_answers:
        yield f"The cluster of {environment.name} answers. What is there is kept; only what is missing is made."
    if len(situation.usable_archives) > 1:
        others = ", ".join(survivor.server_name for survivor in situation.usable_archives[1:])
        yield f"Other archives that can be recovered from, and were written to less lately: {others}."
    yield (
        "What was committed and not archived when the cluster was lost is lost: "
        f"everything after {source.window.end.segment}."
    )
    base = source.window.backups[-1]
    yield from warnings_of_wal(source.archive, base, None, seen_at=_NOTHING_COMES, live="")
    yield from situation.warnings
