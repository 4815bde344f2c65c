"""From the options of the command line to one recovery target; what CloudNativePG would refuse is refused here first.

Its webhook (``validateRecoveryTarget`` in ``cluster_webhook.go``) says which: more than one target, a restore point, a
transaction or "immediate" without a base backup's ID, and values that are none.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from dr.core.commands import ANY_RUN, CommandLines
from dr.core.errors import RequestError
from dr.core.target import (
    AUTO,
    NEVER,
    NEWEST,
    ImmediateTarget,
    LsnTarget,
    NameTarget,
    RecoveryTarget,
    TimeTarget,
    XidTarget,
)

_BACKUP_ID = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]*")
_32_BITS = 2**32


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """The options as they were given; None for one that was not."""

    target_time: str | None = None
    target_lsn: str | None = None
    target_xid: str | None = None
    target_name: str | None = None
    target_immediate: bool = False
    backup_id: str | None = None
    timeline: str | None = None
    exclusive: bool = False

    def target(self, *, now: datetime, snapshot: str = AUTO, commands: CommandLines = ANY_RUN) -> RecoveryTarget:
        """The target that is asked for; ``snapshot`` is what ``--snapshot`` says, ``commands`` are the environment's.
        Raises RequestError.
        """
        self._check_number(commands)
        if self.backup_id is not None and snapshot not in {AUTO, NEVER}:
            raise RequestError(
                "targets-exclude-each-other",
                f"--backup-id and --snapshot {snapshot} are given: each says what to begin from",
                "keep one of them",
            )
        ((kind, text),) = self._targets.items()
        found = kind.parse(text, now=now)
        found = replace(
            found,
            backup_id=None if self.backup_id is None else _backup_id(self.backup_id, commands),
            timeline=None if self.timeline is None else _timeline(self.timeline, commands),
        )
        if found.needs_backup_id and self.backup_id is None and snapshot in {AUTO, NEVER, NEWEST}:
            raise RequestError(
                "target-needs-backup-id",
                f"{found.option} does not say which base backup comes before it, so CloudNativePG needs one to be "
                "named",
                f"add --backup-id; {commands.dr('window')} lists them; or --snapshot with the name of a Backup",
            )
        match found:
            case TimeTarget() | LsnTarget() | XidTarget():
                return replace(found, exclusive=self.exclusive)
            case NameTarget() | ImmediateTarget() if self.exclusive:
                raise RequestError(
                    "exclusive-without-effect",
                    f"--exclusive has no effect with {found.option}: PostgreSQL applies it to a time, an LSN or a "
                    "transaction",
                    "leave --exclusive out",
                )
            case NameTarget() | ImmediateTarget():
                return found
            case _:
                assert_never(found)

    def check_alone(self, option: str) -> None:
        """Raise RequestError where anything is given that contradicts ``option``, which is a whole target."""
        modifiers = {"--backup-id": self.backup_id, "--timeline": self.timeline, "--exclusive": self.exclusive or None}
        given = [kind.option for kind in self._targets]
        given += [name for name, value in modifiers.items() if value is not None]
        if given:
            raise RequestError(
                "targets-exclude-each-other",
                f"{' and '.join([option, *given])} are given: {option} finds the whole target",
                "keep one of them",
            )

    @property
    def _targets(self) -> Mapping[type[RecoveryTarget], str]:
        """The kinds of target that are given, each with its text."""
        values: dict[type[RecoveryTarget], str | None] = {
            TimeTarget: self.target_time,
            LsnTarget: self.target_lsn,
            XidTarget: self.target_xid,
            NameTarget: self.target_name,
            ImmediateTarget: "" if self.target_immediate else None,
        }
        return {kind: text for kind, text in values.items() if text is not None}

    def _check_number(self, commands: CommandLines) -> None:
        given = [kind.option for kind in self._targets]
        if not given:
            raise RequestError(
                "target-missing",
                "no target is given: pitr goes back to one",
                "add --target-time, or --target-lsn, --target-xid, --target-name, --target-immediate; "
                f"for all that was committed, {commands.dr('latest')}",
            )
        if len(given) > 1:
            raise RequestError(
                "targets-exclude-each-other",
                f"{' and '.join(given)} are given: a recovery stops at one target",
                "keep one of them",
            )


def _backup_id(text: str, commands: CommandLines) -> str:
    if not _BACKUP_ID.fullmatch(text):
        raise RequestError(
            "backup-id-malformed",
            f"--backup-id {text!r} is not a valid base backup ID",
            f"give one such as 20260427T030000; {commands.dr('window')} lists them",
        )
    return text


def _timeline(text: str, commands: CommandLines) -> int | None:
    """The number; None for ``latest``, which is what PostgreSQL goes to when none is given."""
    if text == "latest":
        return None
    if not re.fullmatch(r"[0-9]{1,10}", text) or not 0 < int(text) < _32_BITS:
        raise RequestError(
            "timeline-malformed",
            f"--timeline {text!r} is not a valid timeline",
            f"give its number in decimal, from 1 on, or latest; {commands.dr('window')} shows them",
        )
    return int(text)


_WORTH_SAYING = timedelta(seconds=30)


def skew_warning(clock_ahead: timedelta | None) -> Iterator[str]:
    """A word on the database's clock where it is ahead of this machine's, or behind it, by more than half a minute.

    ``clock_ahead`` is None where it was not asked. PostgreSQL stamps commits by its own clock, and a target is compared
    with those stamps.
    """
    if clock_ahead is None or abs(clock_ahead) <= _WORTH_SAYING:
        return
    way = "ahead of" if clock_ahead > timedelta() else "behind"
    seconds = abs(clock_ahead).total_seconds()
    yield (
        f"The database's clock is {seconds:,.0f} s {way} this machine's. A --target-time counts by the database's: one "
        "that was read elsewhere (a deployment's log, a chat) may mean another moment. Fix clock synchronisation (NTP)."
    )
