"""From the options of the command line to one recovery target; what CloudNativePG would refuse is refused here first.

Its webhook (``validateRecoveryTarget`` in ``cluster_webhook.go``) says which: more than one target, a restore point, a
transaction or "immediate" without a base backup's ID, and values that are none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from dr.core.errors import RequestError
from dr.core.target import AUTO, NEVER, NEWEST, RecoveryTarget
from dr.core.wal_names import position_of

_LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
_BACKUP_ID = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]*")
_FIRST_XID = 3  # FirstNormalTransactionId in PostgreSQL's transam.h
_LONGEST_NAME = 63  # MAXFNAMELEN - 1
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

    def target(self, *, now: datetime, snapshot: str = AUTO) -> RecoveryTarget:
        """The target that is asked for; ``snapshot`` is what ``--snapshot`` says. Raises RequestError."""
        self._check_number()
        if self.backup_id is not None and snapshot not in {AUTO, NEVER}:
            raise RequestError(
                "targets-exclude-each-other",
                f"--backup-id and --snapshot {snapshot} are given: each says what to begin from",
                "keep one of them",
            )
        found = RecoveryTarget(
            time=None if self.target_time is None else RecoveryTarget.parse(self.target_time, now=now).time,
            lsn=None if self.target_lsn is None else _lsn(self.target_lsn),
            xid=None if self.target_xid is None else _xid(self.target_xid),
            name=None if self.target_name is None else _name(self.target_name),
            immediate=self.target_immediate,
            backup_id=None if self.backup_id is None else _backup_id(self.backup_id),
            timeline=None if self.timeline is None else _timeline(self.timeline),
            exclusive=self.exclusive,
        )
        self._check_modifiers(base_named=self.backup_id is not None or snapshot not in {AUTO, NEVER, NEWEST})
        return found

    def check_alone(self, option: str) -> None:
        """Raise RequestError where anything is given that contradicts ``option``, which is a target by itself."""
        modifiers = {"--backup-id": self.backup_id, "--timeline": self.timeline, "--exclusive": self.exclusive or None}
        given = [*self._targets, *(name for name, value in modifiers.items() if value is not None)]
        if given:
            raise RequestError(
                "targets-exclude-each-other",
                f"{' and '.join([option, *given])} are given: {option} finds the whole target by itself",
                "keep one of them",
            )

    @property
    def _targets(self) -> list[str]:
        """The options that are targets, of those given."""
        values = {
            "--target-time": self.target_time,
            "--target-lsn": self.target_lsn,
            "--target-xid": self.target_xid,
            "--target-name": self.target_name,
        }
        given = [option for option, value in values.items() if value is not None]
        return [*given, *(["--target-immediate"] if self.target_immediate else [])]

    def _check_number(self) -> None:
        given = self._targets
        if not given:
            raise RequestError(
                "target-missing",
                "no target is given: pitr goes back to one",
                "add --target-time, or --target-lsn, --target-xid, --target-name, --target-immediate; "
                "for all that was committed, python -m dr latest",
            )
        if len(given) > 1:
            raise RequestError(
                "targets-exclude-each-other",
                f"{' and '.join(given)} are given: a recovery stops at one target",
                "keep one of them",
            )

    def _check_modifiers(self, *, base_named: bool) -> None:
        (given,) = self._targets
        if given in {"--target-xid", "--target-name", "--target-immediate"} and not base_named:
            raise RequestError(
                "target-needs-backup-id",
                f"{given} does not tell which base backup comes before it, so CloudNativePG wants one to be named",
                "add --backup-id; python -m dr window lists them; or --snapshot with the name of a Backup",
            )
        if self.exclusive and given in {"--target-name", "--target-immediate"}:
            raise RequestError(
                "exclusive-without-effect",
                f"--exclusive means nothing with {given}: PostgreSQL heeds it for a time, an LSN or a transaction",
                "leave --exclusive out",
            )


def _lsn(text: str) -> int:
    if not _LSN.fullmatch(text.strip()):
        raise RequestError(
            "target-lsn-malformed",
            f"--target-lsn {text!r} is no position in the WAL",
            "write it as PostgreSQL does, as in --target-lsn 0/3000028",
        )
    return position_of(text.strip())


def _xid(text: str) -> int:
    number = int(text) if re.fullmatch(r"[0-9]{1,20}", text) else -1
    if number >= _32_BITS:
        raise RequestError(
            "target-xid-malformed",
            f"--target-xid {text} has an epoch: PostgreSQL's recovery takes the lower 32 bits alone",
            f"give --target-xid {number % _32_BITS}, if it is of the epoch that the base backup is of",
        )
    if number < _FIRST_XID:
        raise RequestError(
            "target-xid-malformed",
            f"--target-xid {text!r} is no transaction's ID",
            f"give a number from {_FIRST_XID} to {_32_BITS - 1}, such as pg_current_xact_id() returned",
        )
    return number


def _name(text: str) -> str:
    if not text or len(text.encode()) > _LONGEST_NAME or re.search(r"[\x00-\x1f\x7f]", text):
        raise RequestError(
            "target-name-malformed",
            f"--target-name {text!r} cannot be a restore point's name",
            f"give the one that pg_create_restore_point() got: 1 to {_LONGEST_NAME} bytes, no control characters",
        )
    return text


def _backup_id(text: str) -> str:
    if not _BACKUP_ID.fullmatch(text):
        raise RequestError(
            "backup-id-malformed",
            f"--backup-id {text!r} is no base backup's ID",
            "give one such as 20260427T030000; python -m dr window lists them",
        )
    return text


def _timeline(text: str) -> int | None:
    """The number; None for ``latest``, which is what PostgreSQL goes to when it is told none."""
    if text == "latest":
        return None
    if not re.fullmatch(r"[0-9]{1,10}", text) or not 0 < int(text) < _32_BITS:
        raise RequestError(
            "timeline-malformed",
            f"--timeline {text!r} is no timeline",
            "give its number in decimal, from 1 on, or latest; python -m dr window shows them",
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
        "that was read elsewhere (a deployment's log, a chat) may mean another moment. Mend the clocks (NTP)."
    )
