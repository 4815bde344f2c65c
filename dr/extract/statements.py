"""The statements of an extraction: what moves a table without moving a row.

In the scratch Cluster the table goes into a schema of its own, from where ``pg_dump`` takes it, with all else that
has a name (indexes, sequences, statistics). In the live database the same schema receives it, so that no name is
in the way of a name that is there. From there it gets its place in one short transaction.

All run with an empty ``search_path``: the catalogue then gives definitions in which every name is qualified, so that
they mean what bears that name when they are run again.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dr.core.target import TimeTarget
from dr.extract.table_facts import ForeignKey, Part, Prepared, TableFacts, View
from dr.postgres.sql import identifier, literal
from dr.postgres.table_name import STAGING_PREFIX, TableName, all_suffixed, stamp

LOCK_SECONDS = 3
"""How long a transaction waits for locks, all in all: others who need the table queue behind us meanwhile."""

_DEADLINE = (
    "SELECT set_config('lock_timeout', greatest(1, "
    f"{LOCK_SECONDS * 1000} - 1000 * extract(epoch FROM clock_timestamp() - now()))::int::text, true)"
)
"""Before each statement: ``lock_timeout`` is a limit for one lock, and by then others are held."""

NOT_DONE = "postgres-dr could not bring back the "
"""What the database says of a dependent that was lost and cannot be made again, before its name and why."""

_ROW_AS_TEXT = (
    "SET datestyle = 'ISO'",
    "SET intervalstyle = 'postgres'",
    "SET timezone = 'UTC'",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
)
QUALIFIED = "SET search_path = ''"
UNHURRIED = "SET statement_timeout = 0"
WRITING = "SET default_transaction_read_only = off"
"""A database may be set to it; what an operator has agreed to is to be written all the same."""
NO_EVENT_TRIGGERS = (
    "SELECT set_config(name, CASE name WHEN 'event_triggers' THEN 'off' ELSE 'replica' END, false) FROM pg_settings "
    "WHERE name IN ('event_triggers', 'session_replication_role')"
)
"""For this session: they may forbid what moves a table, or fail under an empty ``search_path``. ``event_triggers`` came
with PostgreSQL 17; the other one turns off all that are not enabled for replicas too (manual, "Event Triggers").
"""


@dataclass(frozen=True, kw_only=True)
class Present:
    """What the live database has of what the table had: the names of relations, and of constraints as
    ``table constraint``.
    """

    relations: frozenset[str]
    constraints: frozenset[str]


def preparation(staging: str, prepared: Prepared) -> str:
    """In the scratch Cluster: move the table into ``staging``, and remember there what it was like before."""
    return _transaction(
        [
            f"CREATE SCHEMA {staging}",
            *(f"ALTER TABLE {key.table} DROP CONSTRAINT {identifier(key.name)}" for key in prepared.facts.keys_out),
            *_moved(prepared.facts.parts, staging),
            f"COMMENT ON SCHEMA {staging} IS {literal(prepared.model_dump_json())}",
        ]
    )


def restoration(staging: str, prepared: Prepared) -> str:
    """In the scratch Cluster: put the table back to where it was. Else what another table there says of it, in views
    and foreign keys, would name ``staging``.
    """
    facts = prepared.facts
    schema = facts.parts[0].table_schema
    staged = (part.model_copy(update={"table_schema": staging}) for part in facts.parts)
    return _transaction([*_moved(staged, schema), *map(add_checked, facts.keys_out), f"DROP SCHEMA {staging}"])


def ask_prepared_schemas() -> str:
    """The statement whose answers are the schemas of all that :func:`preparation` has moved and nobody put back."""
    like = literal(f"{STAGING_PREFIX}%")
    return f"SELECT nspname FROM pg_namespace WHERE nspname LIKE {like} AND obj_description(oid) IS NOT NULL"


def ask_prepared(staging: str) -> str:
    """The statement whose answer is what :func:`preparation` remembered, or nothing before it."""
    return f"SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = {literal(staging)}"


def own_path(owner: str) -> str:
    """For this session: the ``search_path`` with which the role ``owner`` logs in to this database."""
    return (
        "SELECT pg_catalog.set_config('search_path', coalesce((SELECT substr(setting, length('search_path=') + 1) "
        "FROM pg_catalog.pg_db_role_setting, unnest(setconfig) AS setting "
        "WHERE starts_with(setting, 'search_path=') "
        "AND setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) "
        f"AND setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = {literal(owner)})) "
        "ORDER BY setrole <> 0 DESC, setdatabase <> 0 DESC LIMIT 1), "
        "(SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path')), false)"
    )


def ask_digest(table: TableName, *, checksum: bool, owner: str | None = None) -> tuple[str, ...]:
    """The statements whose last answer tells whether two tables have the same rows: ``count|checksum``.

    The checksum adds up a hash of each row's text, so the order of the rows is of no account. With an ``owner``, whose
    ``search_path`` it takes: to plan a query is to look into the functions that the table's indexes call.
    """
    added = f", coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {table.sql} AS t"
    return (
        UNHURRIED,
        *([own_path(owner)] if owner else ()),
        *_ROW_AS_TEXT,
        "SELECT count(*)" + (added if checksum else f", '' FROM {table.sql}"),
    )


def ask_present(relations: Iterable[str], keys: Iterable[ForeignKey]) -> str:
    """The statement whose answers are ``r|name`` and ``c|table constraint`` for those that are there."""
    values = [
        *(f"SELECT 'r', {literal(name)} WHERE to_regclass({literal(name)}) IS NOT NULL" for name in relations),
        *(
            f"SELECT 'c', {literal(f'{key.table} {key.name}')} FROM pg_constraint "
            f"WHERE conrelid = to_regclass({literal(key.table)}) AND conname = {literal(key.name)}"
            for key in keys
        ),
    ]
    return " UNION ALL ".join(values) or "SELECT WHERE false"


def ask_large_objects(table: TableName, columns: Iterable[str]) -> str:
    """The statement whose answers are those of the ``columns`` that have the OID of a large object in some row."""
    return " UNION ALL ".join(
        f"SELECT {literal(column)} WHERE EXISTS (SELECT FROM {table.sql} t "
        f"JOIN pg_largeobject_metadata m ON m.oid = t.{identifier(column)}::oid)"
        for column in columns
    )


def set_persistence(staging: str, persistence: str) -> str:
    """Make all tables of the schema ``LOGGED`` or ``UNLOGGED``, sequences with them. What is unlogged is never
    published, and logical decoding leaves out what rewrites a table (``relrewrite`` in PostgreSQL's
    ``reorderbuffer.c``): so no subscriber sees what is loaded.
    """
    said = "writing it to the WAL" if persistence == "LOGGED" else "BEGIN"
    return f"/* {said} */ " + _block(
        "FOR one IN SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = "
        f"to_regnamespace({literal(staging)}) LOOP EXECUTE format('ALTER TABLE %s SET {persistence}', one); END LOOP;",
        declares="one text",
    )


def beside(table: TableName, target: TimeTarget, staging: str, loaded: TableFacts, *, owner: str | None = None) -> str:
    """Give the loaded table its place next to the present one, under the name with the target. With an ``owner`` it is
    theirs, and nobody else has a right to it.
    """
    suffix = f"_recovered_{stamp(target)}"
    names = all_suffixed((part.name for part in loaded.parts), suffix)
    return _transaction(
        [
            *(_only_for(owner, loaded, staging) if owner else ()),
            *_renamed(loaded.parts, staging, names),
            *_moved(_called(loaded.parts, names), table.schema),
            f"DROP SCHEMA {staging}",
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Swap:
    """What it takes to let the loaded table take its place under its own name. ``existing`` is the table that is there
    now, None where it was dropped; ``prepared`` what belonged to it at the target.
    """

    table: TableName
    target: TimeTarget
    staging: str
    loaded: TableFacts
    existing: TableFacts | None
    prepared: Prepared
    present: Present

    @property
    def lost_keys(self) -> tuple[ForeignKey, ...]:
        """Foreign keys of other tables to this one that were dropped with it."""
        return tuple(key for key in self._missing_keys if not key.partitioned) if self.existing is None else ()

    @property
    def lost_views(self) -> tuple[tuple[View, str], ...]:
        """The views that were dropped with it, each with the statements that make it, in their order."""
        pairs = zip(self.prepared.facts.views, self.prepared.view_statements, strict=True)
        missing = ((view, statements) for view, statements in pairs if view.name not in self.present.relations)
        return tuple(missing) if self.existing is None else ()

    @property
    def left_out(self) -> tuple[str, ...]:
        """What depended on the table at the target, and is not made again: what PostgreSQL has no simple way for, and
        what was dropped alone, as the table is there; and the foreign keys that the kept table is without, as they
        would take rows from it, or hinder deletions in other tables.
        """
        if self.existing is None:
            return self.prepared.facts.others
        kept = (f"{key}: {key.definition}, which the kept table lost" for key in self.existing.keys_out)
        views = [view for view in self.prepared.facts.views if view.name not in self.present.relations]
        gone = (f"{one}, dropped since the target" for one in map(str, (*self._missing_keys, *views)))
        return (*gone, *kept)

    @property
    def _missing_keys(self) -> tuple[ForeignKey, ...]:
        """Those whose table is there, without them."""
        return tuple(
            key
            for key in self.prepared.facts.keys_in
            if key.table in self.present.relations and f"{key.table} {key.name}" not in self.present.constraints
        )

    @property
    def statements(self) -> str:
        """All of it, in one transaction. What was lost and cannot be made again is shown as a warning
        (:data:`NOT_DONE`), and does not leave the table out.
        """
        return _transaction([*self._make_room(), *self._move_in(), *self._bring_back()])

    def _make_room(self) -> Iterator[str]:
        existing = self.existing
        if existing is None:
            return
        yield f"LOCK TABLE {self.table.sql} IN ACCESS EXCLUSIVE MODE"
        yield _guard(
            f"{literal(self.table.sql)}::regclass::oid = {existing.oid}",
            f"{self.table} is another table than when the plan was made",
        )
        for key in (*existing.keys_in, *existing.keys_out):
            yield f"ALTER TABLE {key.table} DROP CONSTRAINT {identifier(key.name)}"
        yield from _renamed(existing.parts, self.table.schema, self._kept_names(existing))

    def _kept_names(self, existing: TableFacts) -> Mapping[str, str]:
        suffix = f"_before_{stamp(self.target)}"
        return all_suffixed((part.name for part in existing.parts), suffix)

    def _move_in(self) -> Iterator[str]:
        yield from _moved(self.loaded.parts, self.table.schema)
        yield from self._counters()
        for key in self.prepared.facts.keys_out:
            if not key.partitioned:
                yield _if_possible(str(key), f"{_add(key)} {key.unchecked}")

    def _counters(self) -> Iterator[str]:
        """No value is given out twice, by what the table has, by what it gave out until the target, and by what the
        present one gave out since: other tables may know those.
        """
        schema = identifier(self.table.schema)
        kept = self._kept_names(self.existing) if self.existing else {}
        before = {(one.table, one.column): one for one in (self.existing.sequences if self.existing else ())}
        for one in self.loaded.sequences:
            if not one.counts_up:
                continue
            values = [
                f"(SELECT max({identifier(one.column)}) FROM {schema}.{identifier(one.table)})",
                f"(SELECT last_value FROM {schema}.{identifier(one.name)} WHERE is_called)",
            ]
            if old := before.get((one.table, one.column)):
                values.append(f"(SELECT last_value FROM {schema}.{identifier(kept[old.name])} WHERE is_called)")
            sequence = literal(f"{schema}.{identifier(one.name)}")
            yield f"SELECT setval({sequence}, highest) FROM greatest({', '.join(values)}) highest WHERE highest > 0"

    def _bring_back(self) -> Iterator[str]:
        for key in self.existing.keys_in if self.existing else ():
            yield add_checked(key) if key.partitioned else f"{_add(key)} {key.unchecked}"
        for view in self.existing.views if self.existing else ():
            # Those on a view need nothing: the view that they read is the same object.
            if view.level == 1:
                options = f" WITH ({view.options})" if view.options else ""
                yield f"CREATE OR REPLACE VIEW {view.name}{options} AS {view.definition.rstrip(';')}"
        for key in self.lost_keys:
            yield _if_possible(str(key), f"{_add(key)} {key.unchecked}")
        for view, statements in self.lost_views:
            yield _if_possible(str(view), _plain(statements))
            yield QUALIFIED
        yield f"DROP SCHEMA {self.staging}"


def _only_for(owner: str, loaded: TableFacts, staging: str) -> Iterator[str]:
    for part in loaded.parts:
        if part.kind == "TABLE":
            yield f"ALTER TABLE {staging}.{identifier(part.name)} OWNER TO {identifier(owner)}"
    yield _block(
        "FOR one IN SELECT format('REVOKE ALL ON TABLE %s FROM %s CASCADE', oid::regclass, "
        "CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END) "
        "FROM (SELECT oid, relowner, unnest(relacl) AS item FROM pg_class "
        f"WHERE relkind IN ('r', 'p', 'S') AND relnamespace = to_regnamespace({literal(staging)}) "
        "UNION ALL SELECT attrelid, relowner, unnest(attacl) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid "
        f"WHERE relnamespace = to_regnamespace({literal(staging)})) AS given, aclexplode(ARRAY[item]) "
        "WHERE grantee <> relowner LOOP EXECUTE one; END LOOP;",
        declares="one text",
    )


def ask_unchecked(table: TableName) -> str:
    """The statement whose answers are ``table|constraint`` of foreign keys from and to the table that are not checked
    yet.
    """
    oid = f"to_regclass({literal(table.sql)})"
    return (
        "SELECT conrelid::regclass, conname FROM pg_constraint WHERE contype = 'f' AND NOT convalidated "
        f"AND conparentid = 0 AND {oid} IN (conrelid, confrelid) ORDER BY 1, 2"
    )


def check(table: str, constraint: str) -> str:
    """Check the rows that are there against a foreign key. ``table`` is qualified as SQL has it."""
    return f"ALTER TABLE {table} VALIDATE CONSTRAINT {identifier(constraint)}"


def ask_unfilled(materialized_views: Iterable[str]) -> str:
    """The statement whose answers are those of the views that were made without their rows."""
    oids = ", ".join(f"to_regclass({literal(name)})" for name in materialized_views)
    return f"SELECT oid::regclass FROM pg_class WHERE relkind = 'm' AND NOT relispopulated AND oid IN ({oids})"


def fill(materialized_view: str) -> str:
    """Compute the rows of a materialized view."""
    return f"REFRESH MATERIALIZED VIEW {materialized_view}"


def add_checked(key: ForeignKey) -> str:
    """Make a foreign key of a partitioned table, which has to be checked at once."""
    return f"{_add(key)} {key.definition}"


def _add(key: ForeignKey) -> str:
    return f"ALTER TABLE {key.table} ADD CONSTRAINT {identifier(key.name)}"


def _moved(parts: Iterable[Part], schema: str) -> Iterator[str]:
    """Move tables and statistics; indexes and sequences go with their tables."""
    for part in parts:
        if part.kind in {"TABLE", "STATISTICS"}:
            where = f"{identifier(part.table_schema)}.{identifier(part.name)}"
            yield f"ALTER {part.kind} {where} SET SCHEMA {identifier(schema)}"


def _renamed(parts: Iterable[Part], schema: str, names: Mapping[str, str]) -> Iterator[str]:
    for part in parts:
        where = f"{identifier(schema)}.{identifier(part.name)}"
        yield f"ALTER {part.kind} {where} RENAME TO {identifier(names[part.name])}"


def _called(parts: Iterable[Part], names: Mapping[str, str]) -> Iterator[Part]:
    for part in parts:
        yield part.model_copy(update={"name": names[part.name]})


def _plain(statements: str) -> str:
    """What pg_dump wrote, without its commands to psql (``\\restrict``)."""
    lines = statements.splitlines()
    return "\n".join(line for line in lines if not line.startswith(("\\restrict ", "\\unrestrict ")))


def _guard(condition: str, otherwise: str) -> str:
    return _block(f"IF NOT ({condition}) THEN RAISE EXCEPTION '%', {literal(otherwise)}; END IF;")


def _if_possible(what: str, statements: str) -> str:
    """Run ``statements``, or say that it could not be done. A lock that is not to be had is a reason to begin again."""
    return _block(
        f"EXECUTE {literal(statements)}; "
        "EXCEPTION WHEN lock_not_available OR deadlock_detected OR query_canceled THEN RAISE; "
        f"WHEN OTHERS THEN RAISE WARNING '%: %', {literal(NOT_DONE + what)}, SQLERRM;"
    )


def _block(body: str, *, declares: str = "") -> str:
    declared = f"DECLARE {declares}; " if declares else ""
    return f"DO {literal(f'{declared}BEGIN {body} END')}"


def _transaction(statements: Iterable[str]) -> str:
    """A script for psql: all or nothing, and no long wait for locks."""
    timed = (line for statement in statements for line in (_DEADLINE, statement))
    lines = [NO_EVENT_TRIGGERS, "BEGIN READ WRITE", "SET LOCAL statement_timeout = 0", QUALIFIED, *timed, "COMMIT"]
    return ";\n".join(lines) + ";\n"
