"""A schedule of the ledger test, played on the lab: writers at work, operations one by one, each with its fault.

After each operation the rows that were acknowledged are held against the databases, and at the end against all of them,
those that are kept still included.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from dr.cnpg.fencing import FENCED
from lab import paths, processes
from lab.store_faults import StoreFault
from tests.e2e import lab_bucket
from tests.e2e.cli_runner import CliRunner, Outcome
from tests.e2e.journal_watch import Watched
from tests.e2e.ledger_writers import Ledger, serving, writing
from tests.support.ledger import (
    API,
    CALM,
    DAMAGE,
    KILL,
    KUBELET,
    MOVES,
    RECOVERIES,
    SEGMENTS,
    STORE,
    Contents,
    Fault,
    Loss,
    Operation,
    Row,
    Schedule,
    announced_in,
    loss_of_move,
    union,
)
from tests.support.repositories import platform_in
from tests.support.waiting import stopwatch, wait_for

SECOND = "postgres-dev-again"
"""The name of the recovery that is tried where the first one did not become one."""

_WARM = 10
_CONTENTS = """SELECT 'l', writer, n::text FROM ledger
UNION ALL SELECT 'o', '', (count(*) + count(finished_at))::text FROM jobs
UNION ALL SELECT 'u', id::text, created_at::text FROM {table} WHERE id > 100000"""


@dataclass
class Told:
    """What a story has come to."""

    schedule: Schedule
    acknowledged: int = 0
    announced: int = 0
    """Rows that were left behind as announced."""
    lost: list[str] = field(default_factory=list)
    """What is missing though it must not be, in words."""
    course: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """For the report."""
        end = (
            f"{self.acknowledged} rows acknowledged; {self.announced} left behind as announced, "
            f"{len(self.lost)} other losses {self.lost or ''}"
        )
        return "\n  ".join([str(self.schedule), *self.course, end])


@dataclass
class Ran:
    """The runs of one operation. ``asked`` rows were acknowledged before the first one looked at anything, ``sealed``
    before it began to seal the WAL (None where that was not seen); ``plans`` are those that were agreed to.
    """

    asked: int
    sealed: int | None = None
    plans: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return self.outcomes[-1].code == 0


class Story:
    """One schedule, on a dev with fresh data."""

    def __init__(self, runner: CliRunner, schedule: Schedule, folder: Path) -> None:
        self._runner = runner
        self._schedule = schedule
        self._folder = folder
        self._ledger = Ledger()
        self._behind: dict[str, set[Row]] = {}
        self._gone: set[Row] = set()
        self._segments: list[str] = []
        self._kept_table = ""
        self._recovery = ""
        """The newest Cluster that was recovered."""
        self._others = 0
        self.told = Told(schedule)

    def play(self) -> Told:
        """Play it to its end."""
        runner = self._runner
        with writing(runner, self._schedule.writers, self._ledger):
            self._warm_up()
            for operation in self._schedule.operations:
                took = stopwatch()
                done = self._do(operation)
                self._note(f"{operation}: {'done' if done else 'ends here'}, {took()}")
                if not done:
                    break
            self._write_on()
        self._look_everywhere()
        self.told.acknowledged = self._ledger.count()
        return self.told

    def _note(self, text: str) -> None:
        print(f"\n  {text}", flush=True)
        self.told.course.append(text)

    def _lose(self, what: str, rows: object) -> None:
        found = list(rows) if isinstance(rows, tuple | list) else [rows]
        if found:
            self.told.lost.append(f"{what}: {len(found)} ({found[:3]} ...)")

    # The database's side

    def _warm_up(self) -> None:
        for _ in range(SEGMENTS):
            self._write_on()
            self._segments.append(self._runner.psql(self._runner.source, "SELECT pg_walfile_name(pg_switch_wal())"))
        self._runner.await_archived(self._segments[-1])

    def _write_on(self) -> None:
        """Until each writer that can write has written a few rows more; who is stopped is not waited for for long."""
        before = {writer: self._ledger.count(writer) for writer in self._schedule.writers}
        with suppress(AssertionError):
            wait_for(lambda: all(self._ledger.count(one) >= count + _WARM for one, count in before.items()), 6)

    def _contents(self, cluster: str, *tables: str) -> Contents:
        """What a Cluster has, as soon as it can be asked: of the application's rows in ``tables``, by default in all
        that it writes or has written to.
        """
        tables = tables or ("users", *([self._kept_table] if self._kept_table else []))
        return wait_for(lambda: self._try_contents(cluster, tables), seen=lambda: f"{cluster} cannot be asked")

    def _try_contents(self, cluster: str, tables: tuple[str, ...]) -> Contents | None:
        ledger: set[tuple[str, int]] = set()
        users: dict[int, list[datetime]] = {}
        others = 0
        for table in tables:
            ran = self._runner.try_psql(cluster, _CONTENTS.format(table=table))
            if 'relation "ledger" does not exist' in ran.stderr:
                return Contents(ledger=frozenset(), users={})  # a recovery that ended before there was one
            if ran.returncode != 0 and f'"{table}" does not exist' not in ran.stderr:
                return None
            for line in ran.stdout.splitlines():
                kind, first, second = line.split("|")
                if kind == "l":
                    ledger.add((first, int(second)))
                elif kind == "u":
                    users.setdefault(int(first), []).append(datetime.fromisoformat(second))
                else:
                    others = int(second)
        return Contents(ledger=frozenset(ledger), users=users, others=others)

    @property
    def _owed(self) -> list[Row]:
        """The rows that the serving Cluster has to have: all that were acknowledged but those left behind."""
        behind = self._left_behind
        return [row for row in self._ledger.rows() if row not in behind]

    @property
    def _left_behind(self) -> set[Row]:
        return self._gone.union(*self._behind.values())

    # An operation

    def _do(self, operation: Operation) -> bool:
        """Do it, with its fault; whether the story can go on."""
        if operation.name in RECOVERIES:
            return self._recover(operation)
        if operation.name in MOVES:
            return self._move(operation)
        if operation.name == "extract":
            return self._extract(operation)
        return self._finalize(operation)

    def _recover(self, operation: Operation) -> bool:
        runner, name = self._runner, self._runner.recovered
        certain = self._ledger.count()
        words = [operation.name]
        if operation.name == "pitr":
            words += ["--target-time", runner.database_time_of(serving(runner))]
            self._write_on()
        ran = self._run(operation, *words)
        if not ran.done:
            # As the remedy says: a new one, beside whatever the first one has become.
            name = SECOND
            self._again(ran, operation, *words, "--recovered-name", name)
        self._assert_serves()
        if not ran.done:
            return False
        acknowledged = self._ledger.rows()
        contents = self._contents(name)
        if operation.name == "pitr":
            self._lose(f"{name} lacks rows from before its target", contents.missing(acknowledged[:certain]))
            loss = loss_of_move(
                acknowledged, (), contents, announced=announced_in(ran.plans, "Left out"), late_from=ran.asked
            )
            if loss.unannounced:
                self._lose(f"the plan left out more than it said: {loss}", loss.rows)
            self._note(f"{name}: {loss}")
        else:
            sealed = acknowledged[: ran.sealed or ran.asked]
            sealed += [row for row in acknowledged[len(sealed) :] if row.writer == API]
            self._lose(f"{name} lacks rows from before the seal", contents.missing(sealed))
            self._note(f"{name}: {len(contents.missing(acknowledged))} rows behind the seal are not there")
        self._recovery = name
        return True

    def _move(self, operation: Operation) -> bool:
        runner, left = self._runner, serving(self._runner)
        recovered = runner.recovered
        if self._recovery and operation.name == "switchover":
            recovered = self._recovery
            self._others = self._contents(recovered).others
            others = self._contents(left).others - self._others
        else:
            others = self._contents(left).others - self._others
        words = [operation.name]
        if operation.name == "switchover" and recovered != runner.recovered:
            words += ["--recovered-name", recovered]
        ran = self._run(operation, *words)
        now = serving(runner)
        if now == left:
            return False  # whatever it has come to, the traffic is where it was
        # First the rows, then the databases, which have more each moment.
        returned, acknowledged = self._behind.pop(now, set()), self._ledger.rows()
        contents = self._contents(now)
        self._lose(f"{now} lacks rows that were left in it", contents.missing(returned))
        loss = loss_of_move(
            acknowledged,
            self._left_behind | returned,
            contents,
            announced=announced_in(ran.plans, "Left behind"),
            others=others,
        )
        self._behind[left] = set(loss.rows)
        self._count(loss)
        self._note(f"{left} -> {now}: {loss}; {others} commits of others")
        return ran.done

    def _count(self, loss: Loss) -> None:
        self.told.announced += len(loss.rows) - loss.unannounced
        if loss.unannounced:
            self._lose(f"left behind unannounced: {loss}", loss.rows)

    def _extract(self, operation: Operation) -> bool:
        certain = [row for row in self._owed if row.writer == API]
        target = self._runner.database_time_of(serving(self._runner))
        self._write_on()
        words = ("extract", "--table", "users", "--target-time", target, *(["--swap"] if operation.swap else []))
        ran = self._run(operation, *words)
        if ran.done and operation.swap:
            # What was written to the table since the target stays in the former one, as the plan says.
            self._kept_table = str(ran.outcomes[-1].document["keptTable"] or "")
        if ran.done:
            table = str(ran.outcomes[-1].document["recoveredTable"])
            contents = self._contents(serving(self._runner), table)
            self._lose(f"{table} lacks rows from before its target", contents.missing(certain))
            self._note(f"{table}: {len(certain)} rows were acknowledged before its target")
        self._assert_serves()
        return ran.done

    def _finalize(self, operation: Operation) -> bool:
        runner = self._runner
        repository = platform_in(self._folder / "platform")
        words = ("finalize", "--checkout", str(repository), "--confirm", runner.source)
        ran = self._run(operation, *words)
        self._assert_serves()
        for name, rows in list(self._behind.items()):
            if runner.cluster(name) is None:
                self._gone |= rows
                del self._behind[name]
        return ran.done

    def _assert_serves(self) -> None:
        """The Cluster that serves has all that it owes."""
        owed = self._owed
        cluster = serving(self._runner)
        self._lose(f"{cluster}, which serves, lacks rows", self._contents(cluster).missing(owed))

    # A command and its fault

    def _run(self, operation: Operation, *words: str) -> Ran:
        """The command with its fault, and then without to its end: resumed, or given once more."""
        before = self._databases()
        ran = Ran(asked=self._ledger.count())
        self._run_to_its_end(ran, operation, *words)
        if not (ran.done and operation.name == "finalize"):
            self._lose("Clusters are gone", sorted(before - self._databases()))
        return ran

    def _databases(self) -> set[str]:
        """The Clusters of this environment that have come so far that they can be asked; a scratch one is no part of
        it.
        """
        found = json.loads(self._runner.kubectl("get", "cluster", "-n", "data", "-o", "json"))["items"]
        names = {one["metadata"]["name"] for one in found if one.get("status", {}).get("currentPrimary")}
        return {name for name in names if name.startswith(self._runner.source) and "-scratch" not in name}

    def _run_to_its_end(self, ran: Ran, operation: Operation, *words: str) -> None:
        name, *options = words
        command = (name, "--env", self._runner.env, *options, "--yes")
        with self._fault(operation.fault):
            self._once(ran, operation.fault, *command)
        if ran.done:
            return
        killed = ran.outcomes[-1].code == -signal.SIGKILL
        agreed = tuple(options[options.index("--confirm") :]) if "--confirm" in options else ()
        resume = ("resume", "--env", self._runner.env, *agreed, "--yes")
        self._once(ran, Fault(), *(command if killed and operation.again else resume))
        if not ran.done and operation.name not in RECOVERIES:
            self._once(ran, Fault(), *command)

    def _again(self, ran: Ran, operation: Operation, *words: str) -> None:
        name, *options = words
        self._once(ran, Fault(), name, "--env", self._runner.env, *options, "--yes")

    def _once(self, ran: Ran, fault: Fault, *command: str) -> None:
        watched = Watched(self._runner, *command)
        counts = [self._ledger.count()] * 2

        def marked(step: str) -> bool:
            """Whether ``step`` has begun. Marks on the way how many rows were there before the seal: those that were
            counted before the last look at the journal that did not have it.
            """
            steps = [event["step"] for event in watched.events if event["event"] == "step-started"]
            now = self._ledger.count()
            if "seal-wal" in steps and ran.sealed is None:
                ran.sealed = counts[0]
            counts[:] = [counts[1], now]
            return step in steps

        if fault.kind in (KILL, KUBELET) and watched.await_(lambda: marked(fault.step)):
            if fault.kind == KUBELET:
                with _kubelet_cut_off():
                    time.sleep(fault.seconds)
            else:
                time.sleep(fault.seconds)
                watched.process.send_signal(signal.SIGKILL)
        watched.await_(lambda: marked(""))
        outcome = watched.finish()
        ran.plans += [event["plan"] for event in watched.events if event["event"] == "operation-started"][:1]
        ran.outcomes.append(outcome)
        why = f" {outcome.problem_codes} {outcome.stderr[-300:] if not outcome.problem_codes else ''}"
        self._note(f"  {' '.join(command)} -> {outcome.code}{why if outcome.code else ''}")

    @contextmanager
    def _fault(self, fault: Fault) -> Iterator[None]:
        """Within the context the object store has this fault, or one of its objects is damaged."""
        with ExitStack() as stack:
            segment = self._segments[fault.segment]
            if fault.kind in DAMAGE:
                path = self._wal(segment)
                other = self._wal(self._segments[fault.segment - 1]).read_bytes()
                whole = path.read_bytes()
                content = whole[: len(whole) // 2] if fault.kind == "truncated" else other
                stack.enter_context(lab_bucket.replaced(path, content))
            elif fault.kind in STORE:
                stack.enter_context(
                    lab_bucket.failing(
                        StoreFault(
                            answer=fault.kind,
                            on="" if fault.everything else "/wals/",
                            seconds=fault.seconds,
                            after=segment if fault.step == "replay" else "",
                            times=3 if fault.kind == "cut" else -1,
                            every=2 if fault.kind == "slow" else 1,
                            slow_by=2,
                        )
                    )
                )
            else:
                assert fault.kind in (CALM, KILL, KUBELET), fault
            yield

    def _wal(self, segment: str) -> Path:
        (found,) = lab_bucket.folder("dev", self._runner.source, "wals", segment[:16]).glob(f"{segment}*")
        return found

    # The end

    def _look_everywhere(self) -> None:
        """What was acknowledged is in a Cluster that is there, but for what was left in one that was deleted since."""
        names = sorted(self._databases())
        for name in names:
            self._runner.kubectl("annotate", "cluster", name, "-n", "data", f"{FENCED}-")
        everything = union(self._contents(name) for name in names)
        rows = [row for row in self._ledger.rows() if row not in self._gone]
        self._lose(f"in none of {', '.join(names)}", everything.missing(rows))
        now = serving(self._runner)
        self._lose(f"{now}, which serves in the end, lacks rows", self._contents(now).missing(self._owed))


@contextmanager
def _kubelet_cut_off() -> Iterator[None]:
    """Within the context kubelet answers nobody and does nothing."""
    record = processes.read(paths.state(), "kubelet")
    assert record is not None
    assert record.alive()
    os.kill(record.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(record.pid, signal.SIGCONT)
