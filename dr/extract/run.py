"""Extraction: one table as it was at a moment, out of a scratch Cluster, into the live database.

Nothing of what others use is touched until the table gets its place, in one short transaction. What an earlier run has
left is found and gone on with: the scratch Cluster by its label, what was prepared there by a comment, what was loaded
by the oid that the table keeps.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.scratches import note_loaded, superuser_password
from dr.core.errors import AccessError, InterruptedOperationError, VerificationError
from dr.extract import statements as sql
from dr.extract.differences import hold_against, weaker
from dr.extract.limits import hold_objects, hold_room, left_out_beside, remedy_of_load
from dr.extract.observe import observe_extraction
from dr.extract.plan import ExtractDecision, amount_of, decide_extraction
from dr.extract.preconditions import ExtractRequest
from dr.extract.report import Extracted, ExtractReport
from dr.extract.table_copy import TableReceiver, dump_definition, run_script
from dr.extract.table_facts import ForeignKey, Prepared, TableFacts, ask_table
from dr.postgres.psql import Psql
from dr.postgres.table_name import TableName
from dr.recovery.scratch import Scratch
from dr.recovery.sealing import seal_source
from dr.recovery.verify import loss_by_target
from dr.run.operation import Course, Tools, run_operation
from dr.run.session import Session

_SECRET_SECONDS = 60
_LOOK_SECONDS = 1.0
_QUICK_SECONDS = 120
_SLOW_SECONDS = 24 * 3600.0
_LOCK_TRIES = 20
_CHECKSUM_LIMIT = 2 * 2**30
"""Up to this size, in bytes, rows are compared by a checksum, beyond it by their number: a checksum reads all of them
twice."""


def decide(session: Session, request: ExtractRequest) -> ExtractDecision:
    """Look, and decide. Changes nothing. Raises RequestError, RefusedError or AccessError."""
    return decide_extraction(session.environment, request, observe_extraction(session, request))


class Extract:
    """One extraction that was agreed to."""

    def __init__(self, tools: Tools, decision: ExtractDecision) -> None:
        self._tools = tools
        self._session = tools.session
        self._decision = decision
        self._request = decision.request
        self._live = decision.live
        self._receiver = TableReceiver(tools.session.api, decision.live, name=decision.request.staging)
        self._scratch = Scratch(
            tools.session,
            tools.reporter,
            tools.evidence,
            decision.scratch,
            clears=decision.clears,
            fetching=decision.fetching,
        )
        self._from: ClusterSnapshot | None = None
        self._prepared: Prepared | None = None
        self._objects: tuple[str, ...] = ()
        self._done = Extracted()

    def run(self) -> ExtractReport:
        """Do all steps. Raises a DrError whose ``stopped`` says how far it came."""
        session, decision = self._session, self._decision
        doing: dict[str, Callable[[], str]] = {
            "seal-wal": self._seal_wal,
            "recover": self._recover,
            "find": self._find,
            "load": self._load,
            "verify": self._verify,
            "place": self._place,
            "settle": self._settle,
            "put-back": self._put_back,
            "remove-scratch": self._scratch.remove,
        }

        def report(course: Course) -> ExtractReport:
            return ExtractReport(
                decision=decision,
                environment=session.environment,
                started=course.started,
                seconds=course.seconds,
                extracted=self._done,
                steps=course.steps,
                journal=course.journal,
            )

        self._tools.evidence.begins_from(decision.base, decision.source, until="place")
        go_on = self._request.command(session.environment)
        return run_operation(self._tools, decision.plan, doing, go_on=go_on, report=report)

    def _seal_wal(self) -> str:
        return f"{seal_source(self._session, self._tools.reporter, self._decision.source).segment} archived"

    def _recover(self) -> str:
        begin = time.monotonic()
        self._from = self._scratch.recover()
        seconds = time.monotonic() - begin
        self._scratch.see_end(self._psql_of(self._from), self._decision.promise, self._request.target)
        self._done = replace(self._done, recover_seconds=seconds)
        loss = loss_by_target(self._scratch.progress.last_commit, None)
        self._tools.evidence.loss = loss.model_copy(
            update={"how": "the target; what was written elsewhere since stays"}
        )
        return f"healthy after {seconds:.1f} s, {self._scratch.replayed} replayed"

    def _find(self) -> str:
        """See what the table was, and put it where it can be taken from. Raises VerificationError."""
        mine = self._request.staging
        for staging in self._psql_of(self._source).ask(sql.ask_prepared_schemas()):
            if staging != mine:
                self._put_back_in(self._source, staging)
        prepared = self._remembered(self._source, mine)
        if prepared is None:
            facts = self._facts_of(self._psql_of(self._source), self._request.table)
            self._refuse_what_cannot_be(facts)
            assert facts is not None  # noqa: S101 - for the type checker
            prepared = Prepared(facts=facts, view_statements=self._definitions_of_views(facts))
            self._run(self._source, sql.preparation(self._request.staging, prepared), limit=_QUICK_SECONDS)
        self._prepared = prepared
        facts = prepared.facts
        hold_against(self._request, self._present(), facts, agreed=self._decision.agreed)
        self._objects = self._columns_with_objects(facts)
        hold_objects(self._request, self._objects)
        if self._staged_facts() is None:
            hold_room(self._request, facts, self._receiver.rooms(facts.tablespaces), live=self._live.name)
        self._done = replace(self._done, size=facts.size)
        hanging_on = [str(one) for one in (*facts.keys_in, *facts.views)]
        return f"{amount_of(facts)}; used by {', '.join(hanging_on) or 'nothing'}"

    def _refuse_what_cannot_be(self, facts: TableFacts | None) -> None:
        """Raise VerificationError for what the scratch Cluster has not, or cannot give, once that is deleted again."""
        request = self._request
        if facts is not None and not facts.unsupported:
            return
        gone = "" if request.keep_scratch else f"; {self._scratch.remove()}"
        if facts is None:
            raise VerificationError(
                "table-missing-at-target",
                f"there was no table {request.table} in {self._decision.source.database} at {request.target}{gone}",
                "check its name and schema; choose a --target-time at which it was there",
            )
        raise VerificationError(
            "table-not-supported",
            f"{request.table} cannot be extracted: {facts.unsupported}{gone}",
            "recover the whole database beside the live one with pitr, and copy from there by hand",
        )

    def _present(self) -> TableFacts | None:
        """The table that bears the name now."""
        return self._facts_of(self._receiver.psql, self._request.table)

    def _columns_with_objects(self, facts: TableFacts) -> tuple[str, ...]:
        """The columns whose values are large objects, in the scratch Cluster."""
        columns = [one.column for one in facts.object_columns]
        staged = TableName(self._request.staging, self._request.table.table)
        question = sql.ask_large_objects(staged, columns)
        return tuple(self._psql_of(self._source).ask(sql.UNHURRIED, question, limit=_SLOW_SECONDS) if columns else ())

    def _definitions_of_views(self, facts: TableFacts) -> tuple[str, ...]:
        database = self._decision.source.database
        return tuple(dump_definition(self._session.api, self._source, database, view.name) for view in facts.views)

    def _load(self) -> str:
        self._receiver.end_copy()
        begin = time.monotonic()
        there = self._staged_facts()
        if there is None:
            there = self._copy()
        # It keeps its oid for good, so a later run knows it in its place.
        note_loaded(self._session.api, self._source, self._request.staging, there.oid)
        seconds = time.monotonic() - begin
        self._done = replace(self._done, load_seconds=seconds)
        return f"in {seconds:.1f} s"

    def _copy(self) -> TableFacts:
        """Copy, telling how far it is. Raises AccessError ``load-failed`` when nothing came of it."""
        session, receiver = self._session, self._receiver
        password = superuser_password(session.api, self._source, limit=_SECRET_SECONDS, stop=session.stop)
        with ThreadPoolExecutor(max_workers=1) as pool:
            copying = pool.submit(
                receiver.copy,
                self._request.staging,
                source=self._source,
                database=self._decision.source.database,
                password=password,
                stop=session.stop,
                path_of=self._facts_needed.path_of,
            )
            try:
                self._follow(copying)
            finally:
                if session.stop.is_set():
                    receiver.end_copy()
        if session.stop.is_set():
            raise InterruptedOperationError(
                "interrupted", "stopped while loading; nothing of it is there", "go on, or undo; see below"
            )
        loaded = self._staged_facts()
        if loaded is None:
            try:
                said = copying.result()
            except AccessError as error:
                said = error.cause
            raise AccessError(
                "load-failed",
                f"the table could not be loaded into {self._live.name}: {said or 'the copy was ended'}",
                remedy_of_load(said),
            )
        return loaded

    def _follow(self, copying: "Future[str]") -> None:
        """Tell how far the copy is until it is over. The connection to it may break: the database knows better."""
        doing: str | None = None
        while not self._session.stop.is_set():
            try:
                doing = self._receiver.doing()
            except AccessError:
                doing = doing if not copying.done() else None
            if doing:
                self._tools.reporter.progress(doing)
            if copying.done() and not doing:
                return
            self._session.stop.wait(_LOOK_SECONDS)

    def _verify(self) -> str:
        """Compare what was loaded with what it was loaded from. Raises VerificationError ``copy-differs``."""
        table = TableName(self._request.staging, self._request.table.table)
        checksum = self._facts_needed.size <= _CHECKSUM_LIMIT
        questions = sql.ask_digest(table, checksum=checksum, owner=self._facts_needed.path_of)
        with ThreadPoolExecutor(max_workers=1) as pool:
            there = pool.submit(self._psql_of(self._source).ask, *questions, limit=_SLOW_SECONDS)
            here = self._receiver.psql.ask(*questions, limit=_SLOW_SECONDS, stop=self._session.stop)[-1]
            wanted = there.result()[-1]
        if here != wanted:
            raise VerificationError(
                "copy-differs",
                f"{here.replace('|', ' rows, checksum ')} were loaded, of {wanted.replace('|', ' rows, checksum ')}",
                "repeat the command after taking it back; see below",
            )
        path = [sql.own_path(owner)] if (owner := self._facts_needed.path_of) else []
        self._receiver.psql.ask(sql.UNHURRIED, *path, f"ANALYZE {table.sql}", limit=_SLOW_SECONDS)
        rows = int(here.partition("|")[0])
        compared = "number and checksum" if checksum else "number"
        self._done = replace(self._done, rows=rows, compared=compared)
        return f"{rows:,} rows, the same by {compared}"

    def _place(self) -> str:
        request, staged = self._request, self._staged_facts()
        assert staged is not None, "the table is loaded first"  # noqa: S101 - for the type checker
        if not request.swap:
            present, then = self._present(), self._facts_needed
            owner = present.owner if present and weaker(present, then) else None
            left_out = left_out_beside(then, self._objects, owner=owner)
            self._done = replace(self._done, left_out=left_out)
            self._in_place(lambda: sql.beside(request.table, request.target, request.staging, staged, owner=owner))
            return str(request.final)
        swap = self._swap(staged)
        warnings = self._in_place(lambda: swap.statements)
        faults = [line.split(sql.NOT_DONE, 1)[1] for line in warnings.splitlines() if sql.NOT_DONE in line]
        wanted = [*map(str, swap.lost_keys), *(str(view) for view, _ in swap.lost_views)]
        back = tuple(name for name in wanted if not any(fault.startswith(f"{name}: ") for fault in faults))
        kept = str(request.kept) if swap.existing else ""
        self._done = replace(self._done, kept=kept, brought_back=back, faults=tuple(faults), left_out=swap.left_out)
        return f"{request.table} is the recovered one" + (f"; the former is {kept}" if kept else "")

    def _swap(self, staged: TableFacts) -> sql.Swap:
        prepared = self._prepared_needed
        facts = prepared.facts
        existing = self._present()
        hold_against(self._request, existing, facts, agreed=self._decision.agreed)
        names = {*(key.table for key in facts.keys_in), *(view.name for view in facts.views)}
        answers = self._receiver.psql.ask(sql.QUALIFIED, sql.ask_present(sorted(names), facts.keys_in))
        return sql.Swap(
            table=self._request.table,
            target=self._request.target,
            staging=self._request.staging,
            loaded=staged,
            existing=existing,
            prepared=prepared,
            present=sql.Present(
                relations=frozenset(line[2:] for line in answers if line.startswith("r|")),
                constraints=frozenset(line[2:] for line in answers if line.startswith("c|")),
            ),
        )

    def _in_place(self, script: Callable[[], str]) -> str:
        """Run the one transaction that others notice, again and again while someone holds what it needs.

        Raises AccessError ``table-locked``, ``sql-failed``.
        """
        for attempt in range(1, _LOCK_TRIES + 1):
            try:
                return self._run(self._live, script(), limit=_SLOW_SECONDS)
            except AccessError as error:
                if "lock timeout" not in error.cause and "deadlock detected" not in error.cause:
                    raise
                self._tools.reporter.progress(f"waiting for others' locks, attempt {attempt} of {_LOCK_TRIES}")
                if self._session.stop.wait(sql.LOCK_SECONDS):
                    break
        raise AccessError(
            "table-locked",
            f"{self._request.table}, or a table that refers to it, stays locked by others in {self._live.name}",
            "find the long transaction (pg_stat_activity, pg_locks), end it, and repeat the command: it goes on",
        )

    def _settle(self) -> str:
        """Check the foreign keys, and fill materialized views; what fails is reported, and stays as it is."""
        source = self._from or self._scratch.find()
        staging = self._request.staging
        prepared = self._prepared or (self._remembered(source, staging) if source and source.primary else None)
        if prepared is None:
            return "was done"
        facts = prepared.facts
        never_checked = {(key.table, key.name) for key in (*facts.keys_in, *facts.keys_out) if key.was_not_valid}
        answers = self._receiver.psql.ask(sql.QUALIFIED, sql.ask_unchecked(self._request.table))
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
        unfilled = self._receiver.psql.ask(sql.QUALIFIED, sql.ask_unfilled(names)) if names else []
        checks += [(f"materialized view {name}", sql.fill(name)) for name in names if name in unfilled]
        faults = {what: fault for what, statement in checks if (fault := self._try(what, statement))}
        back = (*self._done.brought_back, *(str(key) for key in late if str(key) not in faults))
        self._done = replace(self._done, brought_back=back, faults=(*self._done.faults, *faults.values()))
        return f"{len(checks) - len(faults)} of {len(checks)} in order"

    def _keys_of_partitioned(self, facts: TableFacts) -> list[ForeignKey]:
        """Foreign keys that could not be made unchecked, and so not in the transaction of the swap."""
        keys = [key for key in (*facts.keys_out, *facts.keys_in) if key.partitioned]
        if not keys:
            return []
        kept = self._request.kept.sql
        answers = self._receiver.psql.ask(sql.QUALIFIED, sql.ask_present([kept], keys))
        # Where the former table is kept, nothing was dropped with it.
        wanted = facts.keys_out if f"r|{kept}" in answers else keys
        return [key for key in keys if key in wanted and f"c|{key.table} {key.name}" not in answers]

    def _try(self, what: str, statement: str) -> str:
        try:
            settings = (sql.UNHURRIED, sql.WRITING, sql.NO_EVENT_TRIGGERS)
            self._receiver.psql.ask(*settings, statement, limit=_SLOW_SECONDS, stop=self._session.stop)
        except AccessError as error:
            return f"{what}: {error.cause}"
        return ""

    @property
    def _source(self) -> ClusterSnapshot:
        assert self._from is not None, "the scratch Cluster is recovered first"  # noqa: S101
        return self._from

    @property
    def _prepared_needed(self) -> Prepared:
        assert self._prepared is not None, "the table is found first"  # noqa: S101
        return self._prepared

    @property
    def _facts_needed(self) -> TableFacts:
        return self._prepared_needed.facts

    def _psql_of(self, scratch: ClusterSnapshot) -> Psql:
        return Psql(
            self._session.api,
            namespace=scratch.namespace,
            pod=scratch.primary or "",
            database=self._decision.source.database,
        )

    def _put_back(self) -> str:
        scratch = self._from or self._scratch.find()
        if scratch is None or not scratch.primary:
            return "the scratch Cluster is gone"
        self._put_back_in(scratch, self._request.staging)
        return f"{self._request.table} is where it was"

    def _put_back_in(self, scratch: ClusterSnapshot, staging: str) -> None:
        """Safe to repeat: what is back is not remembered any more."""
        if prepared := self._remembered(scratch, staging):
            database = self._decision.source.database
            script = sql.restoration(staging, prepared)
            run_script(self._session.api, scratch, database, script, limit=_SLOW_SECONDS)

    def _remembered(self, scratch: ClusterSnapshot, staging: str) -> Prepared | None:
        answer = "\n".join(self._psql_of(scratch).ask(sql.ask_prepared(staging)))
        return Prepared.model_validate_json(answer) if answer else None

    def _facts_of(self, psql: Psql, table: TableName) -> TableFacts | None:
        answers = psql.ask(sql.QUALIFIED, ask_table(table))
        return TableFacts.model_validate_json(answers[-1]) if answers else None

    def _staged_facts(self) -> TableFacts | None:
        """The table as it was loaded, while it has not got its place."""
        return self._facts_of(self._receiver.psql, TableName(self._request.staging, self._request.table.table))

    def _run(self, cluster: ClusterSnapshot, script: str, *, limit: float) -> str:
        database = self._decision.source.database if cluster is self._from else cluster.database
        return run_script(self._session.api, cluster, database, script, limit=limit)
