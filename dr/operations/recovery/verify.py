"""Is the recovered cluster what was asked for? Asked of the database itself, not of its status."""

from dataclasses import dataclass
from datetime import datetime

from dr.clients.database.sql import Psql, literal
from dr.model.config import Environment, VerificationQuery
from dr.model.errors import AccessError, VerificationError
from dr.model.extraction.table_name import TableName
from dr.model.target.target import RecoveryTarget

_COUNT_SECONDS = 20


_IN_RECOVERY = "SELECT pg_is_in_recovery()"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The answer to one question. ``passed`` is None where there is nothing to judge by."""

    name: str
    value: str
    passed: bool | None


def verify_database(psql: Psql, environment: Environment) -> list[Finding]:
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
            Finding(name=query.name, value=answer, passed=_passes(query, answer))
            for query, answer in zip(queries, answers, strict=True)
        ]
    return [
        *findings,
        Finding(name="out of recovery", value="yes" if in_recovery == "f" else "no", passed=in_recovery == "f"),
    ]


def _statement(query: VerificationQuery) -> str:
    return f"SELECT ({query.sql})::text"


def _alone(psql: Psql, query: VerificationQuery) -> Finding:
    try:
        (answer,) = psql.ask(_statement(query))
    except AccessError as error:
        if error.code != "sql-failed":
            raise
        return Finding(name=query.name, value=f"no answer: {error.cause}", passed=False)
    return Finding(name=query.name, value=answer, passed=_passes(query, answer))


def verify_table(psql: Psql, table: TableName) -> Finding:
    """Whether ``table`` is there, and how many rows it has, as far as they can be counted in reasonable time."""
    there = psql.ask(f"SELECT to_regclass({literal(table.sql)}) IS NOT NULL") == ["t"]
    if not there:
        return Finding(name=str(table), value="missing", passed=False)
    try:
        limit = f"SET statement_timeout = '{_COUNT_SECONDS}s'"
        (rows,) = psql.ask(limit, f"SELECT count(*) FROM {table.sql}", limit=_COUNT_SECONDS + 10)  # noqa: S608 - quoted
    except AccessError:
        return Finding(name=str(table), value=f"there; not counted within {_COUNT_SECONDS} s", passed=True)
    return Finding(name=str(table), value=f"{int(rows):,} rows", passed=True)


def verify_last_commit(
    last_commit: datetime | None, target: RecoveryTarget | None, expected: datetime | None = None
) -> Finding:
    """Whether the last transaction that PostgreSQL replayed lies at or before the target, or before it if exclusive;
    for a target that is no time, whether it is that of ``expected``. Another one may have been rolled back since that.

    PostgreSQL logs its time at the end of recovery, and nothing when it replayed no transaction at all.
    """
    if last_commit is None:
        return Finding(name="last transaction", value="none replayed after the base backup", passed=None)
    kept = None
    if target is not None and target.time is not None:
        kept = last_commit < target.time if target.exclusive else last_commit <= target.time
    elif expected == last_commit:
        kept = True
    return Finding(name="last transaction", value=str(RecoveryTarget(last_commit)), passed=kept)


def judge(findings: list[Finding]) -> None:
    """Raise VerificationError when a finding did not pass."""
    failed = [finding for finding in findings if finding.passed is False]
    if failed:
        raise VerificationError(
            "verification-failed",
            "the recovered cluster runs, but " + "; ".join(f"{finding.name} is {finding.value}" for finding in failed),
            "do not move traffic to it; look at its data, and recover to another target with --recovered-name",
        )


def _passes(query: VerificationQuery, answer: str) -> bool | None:
    if query.at_least is None:
        return None if answer else False
    try:
        return float(answer) >= query.at_least
    except ValueError:
        return False
