"""The steps of an extraction, and what they share."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.primary import psql_of
from dr.cnpg.scratches import note_loaded, superuser_password
from dr.core.errors import AccessError, InterruptedOperationError, StepFailedError, VerificationError
from dr.core.plan import RECOVER, Phase, StepOf
from dr.extract import statements as sql
from dr.extract.differences import hold_against, weaker
from dr.extract.limits import hold_objects, hold_room, left_out_beside, remedy_of_load
from dr.extract.plan import ExtractDecision, amount_of
from dr.extract.preconditions import OPERATION
from dr.extract.report import Extracted
from dr.extract.table_copy import TableReceiver, dump_definition, run_script
from dr.extract.table_facts import ForeignKey, Prepared, TableFacts, ask_table
from dr.postgres.psql import CONTAINER, Psql
from dr.postgres.sql import identifier
from dr.postgres.table_name import TableName
from dr.recovery.scratch import Scratch
from dr.recovery.sealing import seal_source
from dr.recovery.verify import loss_by_target
from dr.run.operation import Operation, OperationContext

_SECRET_SECONDS = 60
_LOOK_SECONDS = 1.0
_QUICK_SECONDS = 120
_SLOW_SECONDS = 24 * 3600.0
_LOCK_TRIES = 20
_CHECKSUM_LIMIT = 2 * 2**30
"""Up to this size, in bytes, rows are compared by a checksum, beyond it by their number: a checksum reads all of them
twice."""


class Extraction(Operation):
    """What the steps share: what was decided, the databases on both sides, and what was found and done so far."""

    context: OperationContext
    scratch: Scratch
    receiver: TableReceiver

    def __init__(self, decision: ExtractDecision) -> None:
        self.decision = decision
        self.request = decision.request
        self.live = decision.live
        self.recovered: ClusterSnapshot | None = None
        """The scratch Cluster, once this run has seen it healthy."""
        self.prepared: Prepared | None = None
        self.objects: tuple[str, ...] = ()
        """The columns whose values are large objects."""
        self.done = Extracted()
        super().__init__(OPERATION, decision)

    def by_psql(self, statement: str) -> str:
        """The command that runs ``statement`` in the live database."""
        words = (
            "exec",
            str(self.live.primary),
            "-c",
            CONTAINER,
            "--",
            "psql",
            "-d",
            self.live.database,
            "-c",
            statement,
        )
        return self.environment.commands.kubectl(*words, namespace=self.live.namespace)

    def begin(self, context: OperationContext) -> None:
        """Take up ``tools``. Touches nothing yet."""
        self.context, self.session, decision = context, context.session, self.decision
        self.receiver = TableReceiver(self.session.api, decision.live, name=self.request.staging)
        self.scratch = Scratch(
            self.session,
            context.reporter,
            context.report_data,
            decision.scratch,
            clears=decision.clears,
            fetching=decision.fetching,
        )

    @property
    def source(self) -> ClusterSnapshot:
        """The scratch Cluster."""
        assert self.recovered is not None, "the scratch Cluster is recovered first"  # noqa: S101
        return self.recovered

    @property
    def prepared_needed(self) -> Prepared:
        """What was prepared there."""
        assert self.prepared is not None, "the table is found first"  # noqa: S101
        return self.prepared

    @property
    def staged_needed(self) -> TableFacts:
        """The table as it was loaded. Its steps come in this order."""
        staged = self.staged_facts()
        assert staged is not None, "the table is loaded first"  # noqa: S101 - for the type checker
        return staged

    @property
    def facts_needed(self) -> TableFacts:
        """The table as it was."""
        return self.prepared_needed.facts

    def psql_of(self, scratch: ClusterSnapshot) -> Psql:
        """To the database that the table is taken from, in the scratch Cluster."""
        return psql_of(self.session.api, scratch, self.decision.source.database)

    def put_back_in(self, scratch: ClusterSnapshot, staging: str) -> None:
        """Safe to repeat: what is back is not remembered any more."""
        if prepared := self.remembered(scratch, staging):
            database = self.decision.source.database
            script = sql.restoration(staging, prepared)
            run_script(self.session.api, scratch, database, script, limit=_SLOW_SECONDS)

    def remembered(self, scratch: ClusterSnapshot, staging: str) -> Prepared | None:
        """What was prepared in the scratch Cluster under the schema ``staging``, None where nothing was."""
        answer = "\n".join(self.psql_of(scratch).ask(sql.ask_prepared(staging)))
        return Prepared.model_validate_json(answer) if answer else None

    def facts_of(self, psql: Psql, table: TableName) -> TableFacts | None:
        """The table as it is in that database, None where it is not there."""
        answers = psql.ask(sql.QUALIFIED, ask_table(table))
        return TableFacts.model_validate_json(answers[-1]) if answers else None

    def present(self) -> TableFacts | None:
        """The table that bears the name now."""
        return self.facts_of(self.receiver.psql, self.request.table)

    def staged_facts(self) -> TableFacts | None:
        """The table as it was loaded, while it has not got its place."""
        return self.facts_of(self.receiver.psql, TableName(self.request.staging, self.request.table.table))

    def run_script(self, cluster: ClusterSnapshot, script: str, *, limit: float) -> str:
        """Run ``script`` in the Cluster's database, and return its warnings. Raises AccessError ``sql-failed``."""
        database = self.decision.source.database if cluster is self.recovered else cluster.database
        return run_script(self.session.api, cluster, database, script, limit=limit)

    def in_place(self, script: Callable[[], str]) -> str:
        """Run the one transaction that others notice, again and again while someone holds what it needs.

        Raises StepFailedError ``table-locked``, AccessError ``sql-failed``.
        """
        for attempt in range(1, _LOCK_TRIES + 1):
            try:
                return self.run_script(self.live, script(), limit=_SLOW_SECONDS)
            except AccessError as error:
                if "lock timeout" not in error.cause and "deadlock detected" not in error.cause:
                    raise
                self.context.reporter.progress(f"waiting for others' locks, attempt {attempt} of {_LOCK_TRIES}")
                if self.session.stop.wait(sql.LOCK_SECONDS):
                    break
        raise StepFailedError(
            "table-locked",
            f"{self.request.table}, or a table that refers to it, stays locked by others in {self.live.name}",
            "find the long transaction (pg_stat_activity, pg_locks), end it, and repeat the command: it continues",
        )


class SealWal(StepOf[Extraction]):
    key, title, phase = "seal-wal", "Seal the WAL", Phase.PREPARATION
    done_when = "PostgreSQL reports the segment as archived"

    def detail(self) -> str:
        primary = self.op.decision.source.primary
        return f"one commit on {primary}, a new WAL segment, and the old one in the archive; no writer is stopped"

    def run(self) -> str:
        return f"{seal_source(self.op.session, self.op.context.reporter, self.op.decision.source).segment} archived"


class Recover(StepOf[Extraction]):
    key, title, phase = RECOVER, "Recover", Phase.KUBERNETES
    done_when = "CloudNativePG calls the scratch Cluster healthy"

    def detail(self) -> str:
        decision = self.op.decision
        return f"the scratch Cluster {decision.scratch_name} from {decision.begins_from} and WAL up to the target"

    def undo(self) -> tuple[str, ...]:
        environment, name = self.op.environment, self.op.decision.scratch_name
        return (environment.commands.kubectl("delete", "cluster", name, namespace=environment.namespace),)

    def run(self) -> str:
        begin = time.monotonic()
        self.op.recovered = self.op.scratch.recover()
        seconds = time.monotonic() - begin
        self.op.scratch.see_end(self.op.psql_of(self.op.recovered), self.op.decision.promise, self.op.request.target)
        self.op.done = replace(self.op.done, recover_seconds=seconds)
        loss = loss_by_target(self.op.scratch.progress.last_commit, None)
        self.op.context.report_data.loss = loss.model_copy(
            update={"how": "the target; what was written elsewhere since stays"}
        )
        return f"healthy after {seconds:.1f} s, {self.op.scratch.replayed} replayed"


class Find(StepOf[Extraction]):
    key, title, phase = "find", "Find it", Phase.OTHER
    done_when = "the table is there, and there is room for it"

    def detail(self) -> str:
        return f"{self.op.request.table} in {self.op.decision.scratch_name}: rows, size, what depends on it"

    def run(self) -> str:
        """See what the table was, and put it where it can be taken from. Raises VerificationError."""
        mine = self.op.request.staging
        for staging in self.op.psql_of(self.op.source).ask(sql.ask_prepared_schemas()):
            if staging != mine:
                self.op.put_back_in(self.op.source, staging)
        prepared = self.op.remembered(self.op.source, mine)
        if prepared is None:
            facts = self.op.facts_of(self.op.psql_of(self.op.source), self.op.request.table)
            self._refuse_what_cannot_be(facts)
            assert facts is not None  # noqa: S101 - for the type checker
            prepared = Prepared(facts=facts, view_statements=self._definitions_of_views(facts))
            self.op.run_script(self.op.source, sql.preparation(self.op.request.staging, prepared), limit=_QUICK_SECONDS)
        self.op.prepared = prepared
        facts = prepared.facts
        op, request = self.op, self.op.request
        hold_against(request, op.present(), facts, agreed=op.decision.agreed)
        op.objects = self._columns_with_objects(facts)
        hold_objects(request, op.objects)
        if op.staged_facts() is None:
            hold_room(request, facts, op.receiver.rooms(facts.tablespaces), live=op.live.name)
        self.op.done = replace(self.op.done, size=facts.size)
        hanging_on = [str(one) for one in (*facts.keys_in, *facts.views)]
        return f"{amount_of(facts)}; used by {', '.join(hanging_on) or 'nothing'}"

    def _refuse_what_cannot_be(self, facts: TableFacts | None) -> None:
        """Raise VerificationError for what the scratch Cluster has not, or cannot give, once that is deleted again."""
        request = self.op.request
        if facts is not None and not facts.unsupported:
            return
        gone = "" if request.keep_scratch else f"; {self.op.scratch.remove()}"
        if facts is None:
            raise VerificationError(
                "table-missing-at-target",
                f"there was no table {request.table} in {self.op.decision.source.database} at {request.target}{gone}",
                "check its name and schema; choose a --target-time at which it was there",
            )
        raise VerificationError(
            "table-not-supported",
            f"{request.table} cannot be extracted: {facts.unsupported}{gone}",
            "recover the whole database with pitr, and copy from there by hand",
        )

    def _columns_with_objects(self, facts: TableFacts) -> tuple[str, ...]:
        """The columns whose values are large objects, in the scratch Cluster."""
        columns = [one.column for one in facts.object_columns]
        staged = TableName(self.op.request.staging, self.op.request.table.table)
        question = sql.ask_large_objects(staged, columns)
        psql = self.op.psql_of(self.op.source)
        return tuple(psql.ask(sql.UNHURRIED, question, limit=_SLOW_SECONDS) if columns else ())

    def _definitions_of_views(self, facts: TableFacts) -> tuple[str, ...]:
        database = self.op.decision.source.database
        return tuple(dump_definition(self.op.session.api, self.op.source, database, view.name) for view in facts.views)


class Load(StepOf[Extraction]):
    key, title, phase = "load", "Load", Phase.OTHER
    done_when = "the transaction is committed"

    def detail(self) -> str:
        scratch, staging = self.op.decision.scratch_name, self.op.request.staging
        return f"pg_dump from {scratch} into the schema {staging} of {self.op.live.name}, in one transaction"

    def undo(self) -> tuple[str, ...]:
        return (self.op.by_psql(f"DROP SCHEMA IF EXISTS {self.op.request.staging} CASCADE"),)

    def run(self) -> str:
        self.op.receiver.end_copy()
        begin = time.monotonic()
        there = self.op.staged_facts()
        if there is None:
            there = self._copy()
        # It keeps its oid for good, so a later run knows it in its place.
        note_loaded(self.op.session.api, self.op.source, self.op.request.staging, there.oid)
        seconds = time.monotonic() - begin
        self.op.done = replace(self.op.done, load_seconds=seconds)
        return f"in {seconds:.1f} s"

    def _copy(self) -> TableFacts:
        """Copy, telling how far it is. Raises StepFailedError ``load-failed`` when nothing came of it."""
        session, receiver = self.op.session, self.op.receiver
        password = superuser_password(session.api, self.op.source, limit=_SECRET_SECONDS, stop=session.stop)
        with ThreadPoolExecutor(max_workers=1) as pool:
            copying = pool.submit(
                receiver.copy,
                self.op.request.staging,
                source=self.op.source,
                database=self.op.decision.source.database,
                password=password,
                stop=session.stop,
                path_of=self.op.facts_needed.path_of,
            )
            try:
                self._follow(copying)
            finally:
                if session.stop.is_set():
                    receiver.end_copy()
        if session.stop.is_set():
            raise InterruptedOperationError(
                "interrupted", "stopped while loading; nothing of it is there", "continue or undo; see below"
            )
        loaded = self.op.staged_facts()
        if loaded is None:
            try:
                said = copying.result()
            except AccessError as error:
                said = error.cause
            raise StepFailedError(
                "load-failed",
                f"the table could not be loaded into {self.op.live.name}: {said or 'the copy was ended'}",
                remedy_of_load(said),
            )
        return loaded

    def _follow(self, copying: "Future[str]") -> None:
        """Tell how far the copy is until it is over. The connection to it may break: the database knows better."""
        activity: str | None = None
        while not self.op.session.stop.is_set():
            try:
                activity = self.op.receiver.activity()
            except AccessError:
                activity = activity if not copying.done() else None
            if activity:
                self.op.context.reporter.progress(activity)
            if copying.done() and not activity:
                return
            self.op.session.stop.wait(_LOOK_SECONDS)


class Verify(StepOf[Extraction]):
    key, title, phase = "verify", "Verify", Phase.VERIFICATION
    done_when = "both sides give the same answer"

    def detail(self) -> str:
        return "the rows that were loaded are those of the scratch Cluster"

    def run(self) -> str:
        """Compare what was loaded with what it was loaded from. Raises VerificationError ``copy-differs``."""
        table = TableName(self.op.request.staging, self.op.request.table.table)
        checksum = self.op.facts_needed.size <= _CHECKSUM_LIMIT
        questions = sql.ask_digest(table, checksum=checksum, owner=self.op.facts_needed.path_of)
        with ThreadPoolExecutor(max_workers=1) as pool:
            there = pool.submit(self.op.psql_of(self.op.source).ask, *questions, limit=_SLOW_SECONDS)
            here = self.op.receiver.psql.ask(*questions, limit=_SLOW_SECONDS, stop=self.op.session.stop)[-1]
            wanted = there.result()[-1]
        if here != wanted:
            raise VerificationError(
                "copy-differs",
                f"{here.replace('|', ' rows, checksum ')} were loaded, of {wanted.replace('|', ' rows, checksum ')}",
                "repeat the command after taking it back; see below",
            )
        path = [sql.own_path(owner)] if (owner := self.op.facts_needed.path_of) else []
        self.op.receiver.psql.ask(sql.UNHURRIED, *path, f"ANALYZE {table.sql}", limit=_SLOW_SECONDS)
        rows = int(here.partition("|")[0])
        compared = "number and checksum" if checksum else "number"
        self.op.done = replace(self.op.done, rows=rows, compared=compared)
        return f"{rows:,} rows, the same by {compared}"


class GiveName(StepOf[Extraction]):
    """The table stays next to the present one."""

    key, title, phase = "place", "Give it its name", Phase.OTHER
    done_when = "the transaction is committed"

    def detail(self) -> str:
        return f"{self.op.request.recovered}, with indexes and sequences to match"

    def undo(self) -> tuple[str, ...]:
        schema, table = identifier(self.op.request.recovered.schema), identifier(self.op.request.recovered.table)
        return (self.op.by_psql(f"DROP TABLE IF EXISTS {schema}.{table}"),)

    def run(self) -> str:
        request, staged = self.op.request, self.op.staged_needed
        present, then = self.op.present(), self.op.facts_needed
        owner = present.owner if present and weaker(present, then) else None
        left_out = left_out_beside(then, self.op.objects, owner=owner)
        self.op.done = replace(self.op.done, left_out=left_out)
        self.op.in_place(lambda: sql.beside(request.table, request.target, request.staging, staged, owner=owner))
        return str(request.final)


class SwapIn(StepOf[Extraction]):
    """The table takes the place of the present one, which is kept."""

    key, title, phase = "place", "Swap it in", Phase.OTHER
    done_when = "the transaction is committed"

    def detail(self) -> str:
        request = self.op.request
        kept = f"{request.table} becomes {request.kept}, and " if self.op.decision.present else ""
        return f"in one transaction: {kept}the recovered table becomes {request.table}"

    def run(self) -> str:
        op, request = self.op, self.op.request
        swap = self._swap(op.staged_needed)
        warnings = op.in_place(lambda: swap.statements)
        faults = [line.split(sql.NOT_DONE, 1)[1] for line in warnings.splitlines() if sql.NOT_DONE in line]
        wanted = [*map(str, swap.lost_keys), *(str(view) for view, _ in swap.lost_views)]
        back = tuple(name for name in wanted if not any(fault.startswith(f"{name}: ") for fault in faults))
        kept = str(request.kept) if swap.existing else ""
        op.done = replace(op.done, kept=kept, brought_back=back, faults=tuple(faults), left_out=swap.left_out)
        return f"{request.table} is the recovered one" + (f"; the former is {kept}" if kept else "")

    def _swap(self, staged: TableFacts) -> sql.Swap:
        prepared = self.op.prepared_needed
        facts = prepared.facts
        existing = self.op.present()
        hold_against(self.op.request, existing, facts, agreed=self.op.decision.agreed)
        names = {*(key.table for key in facts.keys_in), *(view.name for view in facts.views)}
        answers = self.op.receiver.psql.ask(sql.QUALIFIED, sql.ask_present(sorted(names), facts.keys_in))
        return sql.Swap(
            table=self.op.request.table,
            target=self.op.request.target,
            staging=self.op.request.staging,
            loaded=staged,
            existing=existing,
            prepared=prepared,
            present=sql.Present(
                relations=frozenset(line[2:] for line in answers if line.startswith("r|")),
                constraints=frozenset(line[2:] for line in answers if line.startswith("c|")),
            ),
        )


class Validate(StepOf[Extraction]):
    key, title, phase = "settle", "Validate the swap", Phase.VERIFICATION
    done_when = "each was tried, and what failed is reported"

    def detail(self) -> str:
        return "check foreign keys, fill materialized views; what fails is reported"

    def run(self) -> str:
        """Check the foreign keys, and fill materialized views; what fails is reported, and stays as it is."""
        source = self.op.recovered or self.op.scratch.find()
        staging = self.op.request.staging
        prepared = self.op.prepared or (self.op.remembered(source, staging) if source and source.primary else None)
        if prepared is None:
            return "was done"
        facts = prepared.facts
        never_checked = {(key.table, key.name) for key in (*facts.keys_in, *facts.keys_out) if key.was_not_valid}
        answers = self.op.receiver.psql.ask(sql.QUALIFIED, sql.ask_unchecked(self.op.request.table))
        unchecked = [tuple(line.rsplit("|", 1)) for line in answers if "|" in line]
        checks = [
            (f"foreign key {name} of {table}", sql.check(table, name))
            for table, name in unchecked
            if (table, name) not in never_checked
        ]
        late = self._keys_of_partitioned(facts)
        checks += [(str(key), sql.add_checked(key)) for key in late]
        names = [view.name for view in facts.views if view.materialized]
        # In the order of the views: one may read another.
        unfilled = self.op.receiver.psql.ask(sql.QUALIFIED, sql.ask_unfilled(names)) if names else []
        checks += [(f"materialized view {name}", sql.fill(name)) for name in names if name in unfilled]
        faults = {what: fault for what, statement in checks if (fault := self._try(what, statement))}
        back = (*self.op.done.brought_back, *(str(key) for key in late if str(key) not in faults))
        self.op.done = replace(self.op.done, brought_back=back, faults=(*self.op.done.faults, *faults.values()))
        return f"{len(checks) - len(faults)} of {len(checks)} in order"

    def _keys_of_partitioned(self, facts: TableFacts) -> list[ForeignKey]:
        """Foreign keys that could not be made unchecked, and so not in the transaction of the swap."""
        keys = [key for key in (*facts.keys_out, *facts.keys_in) if key.partitioned]
        if not keys:
            return []
        kept = self.op.request.kept.sql
        answers = self.op.receiver.psql.ask(sql.QUALIFIED, sql.ask_present([kept], keys))
        # Where the former table is kept, nothing was dropped with it.
        wanted = facts.keys_out if f"r|{kept}" in answers else keys
        return [key for key in keys if key in wanted and f"c|{key.table} {key.name}" not in answers]

    def _try(self, what: str, statement: str) -> str:
        try:
            settings = (sql.UNHURRIED, sql.WRITING, sql.NO_EVENT_TRIGGERS)
            self.op.receiver.psql.ask(*settings, statement, limit=_SLOW_SECONDS, stop=self.op.session.stop)
        except AccessError as error:
            return f"{what}: {error.cause}"
        return ""


class PutBack(StepOf[Extraction]):
    key, title, phase = "put-back", "Leave it in order", Phase.CLEAN_UP
    done_when = "the table is where it was"

    def detail(self) -> str:
        scratch, table = self.op.decision.scratch_name, self.op.request.table
        return f"in the scratch Cluster {scratch}, which is kept, {table} goes back to where it was"

    def run(self) -> str:
        scratch = self.op.recovered or self.op.scratch.find()
        if scratch is None or not scratch.primary:
            return "the scratch Cluster is gone"
        self.op.put_back_in(scratch, self.op.request.staging)
        return f"{self.op.request.table} is where it was"
