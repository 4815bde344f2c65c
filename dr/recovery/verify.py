"""Is the recovered cluster what was asked for, and what was lost? Asked of the database itself, not of its status."""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from dr.archive.promise import END_OF_WAL, Promise
from dr.archive.seal import ask_history
from dr.config.environment import Environment, VerificationQuery
from dr.core.commands import CommandLines
from dr.core.errors import AccessError, VerificationError
from dr.core.target import ImmediateTarget, LaterCommits, LsnTarget, NameTarget, RecoveryTarget, TimeTarget, XidTarget
from dr.core.text import exact_moment_of
from dr.core.wal_names import lsn
from dr.postgres.psql import Psql
from dr.postgres.sql import literal
from dr.postgres.table_name import TableName
from dr.reports.document import DataLoss

_COUNT_SECONDS = 20


_IN_RECOVERY = "SELECT pg_is_in_recovery()"


@dataclass(frozen=True, kw_only=True)
class VerificationResult:
    """The answer to one question. ``passed`` is None where there is nothing to judge by. ``code`` and ``remedy`` are
    those of the error where it did not pass, empty where it is like any other.
    """

    name: str
    value: str
    passed: bool | None
    code: str = ""
    remedy: str = ""


def verify_database(psql: Psql, environment: Environment) -> list[VerificationResult]:
    """The configured queries, and whether the server is out of recovery, in one round trip.

    A query that PostgreSQL refuses, of a table that is not there for one, is a finding too: then each is asked alone.
    """
    queries = environment.verification
    try:
        *answers, in_recovery = psql.ask(*(_statement(query) for query in queries), _IN_RECOVERY)
    except AccessError as error:
        if error.code != "sql-failed":
            raise
        (in_recovery,) = psql.ask(_IN_RECOVERY)
        findings = [_alone(psql, query) for query in queries]
    else:
        findings = [
            VerificationResult(name=query.name, value=answer, passed=_passes(query, answer))
            for query, answer in zip(queries, answers, strict=True)
        ]
    return [
        *findings,
        VerificationResult(
            name="out of recovery", value="yes" if in_recovery == "f" else "no", passed=in_recovery == "f"
        ),
    ]


def _statement(query: VerificationQuery) -> str:
    return f"SELECT ({query.sql})::text"


def _alone(psql: Psql, query: VerificationQuery) -> VerificationResult:
    try:
        (answer,) = psql.ask(_statement(query))
    except AccessError as error:
        if error.code != "sql-failed":
            raise
        return VerificationResult(name=query.name, value=f"no answer: {error.cause}", passed=False)
    return VerificationResult(name=query.name, value=answer, passed=_passes(query, answer))


def verify_table(psql: Psql, table: TableName) -> VerificationResult:
    """Whether ``table`` is there, and how many rows it has, as far as they can be counted in reasonable time."""
    there = psql.ask(f"SELECT to_regclass({literal(table.sql)}) IS NOT NULL") == ["t"]
    if not there:
        return VerificationResult(name=str(table), value="missing", passed=False)
    try:
        limit = f"SET statement_timeout = '{_COUNT_SECONDS}s'"
        (rows,) = psql.ask(limit, f"SELECT count(*) FROM {table.sql}", limit=_COUNT_SECONDS + 10)  # noqa: S608 - quoted
    except AccessError:
        return VerificationResult(name=str(table), value=f"there; not counted within {_COUNT_SECONDS} s", passed=True)
    return VerificationResult(name=str(table), value=f"{int(rows):,} rows", passed=True)


def verify_last_commit(
    last_commit: datetime | None, target: RecoveryTarget | None, expected: datetime | None = None
) -> VerificationResult:
    """Whether the last transaction that PostgreSQL replayed lies at or before the target, or before it if exclusive;
    for a target that is not a time, whether it is that of ``expected``. Another one may have been rolled back since
    that.

    PostgreSQL logs its time at the end of recovery, and nothing when it replayed no transaction at all.
    """
    if last_commit is None:
        return VerificationResult(name="last transaction", value="none replayed after the base backup", passed=None)
    match target:
        case TimeTarget():
            kept: bool | None = last_commit < target.time if target.exclusive else last_commit <= target.time
        case LsnTarget() | XidTarget() | NameTarget() | ImmediateTarget() | None:
            kept = True if expected == last_commit else None
        case _:
            assert_never(target)
    return VerificationResult(name="last transaction", value=exact_moment_of(last_commit), passed=kept)


def verify_end(psql: Psql, promise: Promise | None, target: RecoveryTarget | None) -> VerificationResult:
    """Whether the recovery ended where it had to, by the new timeline's own history: at or behind ``promise``, and
    because of ``target`` if there is one. ``psql`` speaks to the recovered primary.

    What cannot be read did not pass. Without a target, a promise that is not known cannot be compared with, which is an
    answer of its own (``dr.archive.promise.is_compared``); with one, PostgreSQL's own reason to stop is the witness.
    """
    name = END_OF_WAL if target is None else "stopped at the target"
    try:
        history = ask_history(psql)
    except AccessError as error:
        if error.code != "sql-failed":
            raise
        return _ended_early(name, f"not known: {error.cause}")
    if not history:
        return _ended_early(name, "not known: the timeline's history is empty")
    ends = promise.ends_in(history) if promise else history[-1:]
    if promise and (not ends or ends[0].lsn < promise.lsn):
        reached = ends[0] if ends else history[-1]
        short = f" ({promise.lsn - reached.lsn:,} bytes missing, from WAL segment {promise.segment_at(reached.lsn)} on)"
        value = f"LSN {lsn(reached.lsn)} of timeline {reached.parent}; the recovery must reach {promise}"
        return _ended_early(name, value + (short if ends else ""))
    if target is not None:
        stop = next((end for end in ends if target.reached_by(end.reason)), None)
        told = stop or ends[-1]
        value = f"LSN {lsn(told.lsn)}, {told.reason.strip()}"
        return VerificationResult(name=name, value=value, passed=stop is not None, remedy=_NOT_THE_TARGET)
    value = f"LSN {lsn(ends[0].lsn)}"
    if promise is None:
        return VerificationResult(
            name=name, value=f"not compared: {value}, and how far it must reach is not known", passed=None
        )
    return VerificationResult(name=name, value=f"{value}, as far as it must", passed=True)


def _ended_early(name: str, value: str) -> VerificationResult:
    return VerificationResult(name=name, value=value, passed=False, code="recovery-ended-early", remedy=_ENDED_EARLY)


_ENDED_EARLY = (
    "do not move traffic to it. PostgreSQL takes WAL that it cannot read for the end: {dr window} shows what "
    "the archive has, the recovery pod's log what failed. If the store failed for a while, recover again with another "
    "--recovered-name; if WAL is lost, the data up to this position is all there is: pitr --target-lsn says so"
)
_NOT_THE_TARGET = "do not move traffic to it; recover to the target again with another --recovered-name"
_ANY_OTHER = "do not move traffic to it; look at its data, and recover to another target with --recovered-name"


def judge(findings: list[VerificationResult], commands: CommandLines) -> None:
    """Raise VerificationError when a finding did not pass, with the code and the remedy of the first that has a remedy
    of its own: ``recovery-ended-early`` where the WAL did not come to its end, ``verification-failed`` for the rest.
    ``commands`` are the environment's.
    """
    failed = [finding for finding in findings if finding.passed is False]
    if failed:
        told = next((finding for finding in failed if finding.remedy), failed[0])
        raise VerificationError(
            told.code or "verification-failed",
            "the recovered cluster runs, but " + "; ".join(f"{finding.name} is {finding.value}" for finding in failed),
            commands.fill(told.remedy or _ANY_OTHER),
        )


def _passes(query: VerificationQuery, answer: str) -> bool | None:
    if query.at_least is None:
        return None if answer else False
    try:
        return float(answer) >= query.at_least
    except ValueError:
        return False


def loss_at_the_end(recovered: datetime | None, acknowledged: datetime | None, *, base_end: datetime) -> DataLoss:
    """Of a recovery to the end of the archived WAL from a base backup that ended at ``base_end``. ``recovered`` is None
    where no commit came after that.

    All times are aware UTC, and of the source's own clock.
    """
    if recovered is None and acknowledged is not None and acknowledged <= base_end:
        return DataLoss(
            last_recovered=acknowledged,
            last_acknowledged=acknowledged,
            seconds=0.0,
            wanted=False,
            how="nothing was committed since the base backup",
        )
    if recovered is None or acknowledged is None:
        known = (
            "the last recovered commit" if recovered else "the last acknowledged commit" if acknowledged else "neither"
        )
        return DataLoss(
            last_recovered=recovered,
            last_acknowledged=acknowledged,
            seconds=None,
            wanted=False,
            how=f"{known} is known: no commit was replayed, or the source does not record it (track_commit_timestamp)",
        )
    return DataLoss(
        last_recovered=recovered,
        last_acknowledged=acknowledged,
        seconds=round(max(0.0, (acknowledged - recovered).total_seconds()), 3),
        wanted=False,
        how="the last commit in the recovered database against the last one that the source had acknowledged",
    )


def loss_by_target(recovered: datetime | None, commits_after_target: LaterCommits | None) -> DataLoss:
    """Of a recovery to a target, which leaves out on purpose what was committed after it."""
    last = commits_after_target.last if commits_after_target else None
    acknowledged = last or (recovered if commits_after_target and commits_after_target.complete else None)
    seconds = (acknowledged - recovered).total_seconds() if acknowledged and recovered else None
    return DataLoss(
        last_recovered=recovered,
        last_acknowledged=acknowledged,
        seconds=None if seconds is None else round(max(0.0, seconds), 3),
        transactions=commits_after_target.count if commits_after_target else None,
        wanted=True,
        how="the target against the last commit in the source's WAL, when the plan was made",
    )


def lost_by_target(target: RecoveryTarget, commits_after_target: LaterCommits | None) -> list[str]:
    """The same in a sentence."""
    if commits_after_target is None:
        return [f"what was committed after {target}; it could not be counted"]
    return [f"{commits_after_target} after {target}"] if commits_after_target.count else []
