"""What PostgreSQL's catalogue says of one table, and the statement that asks for it.

The same question goes to the scratch Cluster (what belonged to the table at the target) and to the live database (what
is in its place now). The answer is one line of JSON.
"""

from pydantic import BaseModel, ConfigDict

from dr.postgres.sql import literal
from dr.postgres.table_name import TableName

PLAIN, PARTITIONED = "r", "p"
"""``pg_class.relkind`` of the tables that can be extracted."""

_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}


class _Fact(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Fact):
    """Something with a name of its own in the table's schema. ``kind`` is as in ``ALTER <kind>``."""

    kind: str
    table_schema: str
    name: str


class Sequence(_Fact):
    """A sequence that belongs to a column. ``counts_up`` is true where its values can be compared with the column's."""

    name: str
    table: str
    column: str
    counts_up: bool


class ForeignKey(_Fact):
    """A foreign key. ``table`` is the qualified name of the referencing table as SQL has it; ``partitioned`` is that
    table: such a one takes no ``NOT VALID`` (PostgreSQL manual, "ALTER TABLE").
    """

    table: str
    name: str
    definition: str
    partitioned: bool

    @property
    def unchecked(self) -> str:
        """The definition with the rows that are there left unchecked."""
        return self.definition if self.was_not_valid else f"{self.definition} NOT VALID"

    @property
    def was_not_valid(self) -> bool:
        """Whether it had not been checked in the first place."""
        return self.definition.endswith(" NOT VALID")

    def __str__(self) -> str:
        """For people."""
        return f"foreign key {self.name} of {self.table}"


class View(_Fact):
    """A view on the table, or on such a view; ``level`` is 1 for one on the table itself."""

    name: str
    materialized: bool
    level: int
    definition: str
    options: str

    def __str__(self) -> str:
        """For people."""
        return f"{'materialized view' if self.materialized else 'view'} {self.name}"


class TableFacts(_Fact):
    """One table, with its partitions if it has any.

    ``rows`` is the planner's estimate, ``size`` is in bytes with indexes. ``keys_out`` are its foreign keys to other
    tables, ``keys_in`` those of other tables to it; ``others`` is what else depends on it, in PostgreSQL's words.
    """

    oid: int
    kind: str
    is_partition: bool
    temporary_or_unlogged: bool
    rows: int
    size: int
    parts: tuple[Part, ...]
    sequences: tuple[Sequence, ...]
    keys_out: tuple[ForeignKey, ...]
    keys_in: tuple[ForeignKey, ...]
    views: tuple[View, ...]
    others: tuple[str, ...]

    @property
    def unsupported(self) -> str:
        """Why it cannot be extracted or swapped, empty when it can."""
        if self.kind not in {PLAIN, PARTITIONED}:
            return f"it is {_KINDS.get(self.kind, 'no table')}"
        if self.temporary_or_unlogged:
            return "it is unlogged: its rows are in no WAL, so they cannot be recovered"
        if self.is_partition:
            return "it is a partition: name the partitioned table that it belongs to"
        if self.kind == PLAIN and len([part for part in self.parts if part.kind == "TABLE"]) > 1:
            return "other tables inherit from it"
        if len({part.table_schema for part in self.parts}) > 1:
            return "its partitions, or what belongs to them, lie in other schemas"
        return ""


class LiveSeen(_Fact):
    """What was seen in the live database. ``staged`` says that a load has left its schema; ``recovered`` and ``kept``
    are the oids of what bears the names that the recovered table, and the one it takes the place of, would get.
    """

    schema_exists: bool
    staged: bool
    table: TableFacts | None
    recovered: int | None
    kept: int | None


class Prepared(_Fact):
    """What is known of the table once it stands ready in the scratch Cluster: kept there, as a comment on its schema.

    ``view_statements`` has what makes each view, by pg_dump, in the order of ``facts.views``.
    """

    facts: TableFacts
    view_statements: tuple[str, ...]


def ask_table(table: TableName) -> str:
    """The statement whose answer is :class:`TableFacts` as JSON, or nothing where there is no such relation.

    It wants an empty ``search_path``, so that every name in the answer is qualified.
    """
    return _TABLE.replace("{schema}", literal(table.schema)).replace("{table}", literal(table.table))


def ask_live(table: TableName, *, recovered: TableName, kept: TableName, staging: str) -> str:
    """The statement whose answer is :class:`LiveSeen` as JSON."""
    return f"""SELECT json_build_object(
      'schema_exists', EXISTS (SELECT FROM pg_namespace WHERE nspname = {literal(table.schema)}),
      'staged', EXISTS (SELECT FROM pg_namespace WHERE nspname = {literal(staging)}),
      'table', ({ask_table(table)}),
      'recovered', to_regclass({literal(recovered.sql)})::oid::bigint,
      'kept', to_regclass({literal(kept.sql)})::oid::bigint)"""


_TABLE = """WITH RECURSIVE root AS (
  SELECT c.* , c.oid AS id FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = {schema} AND c.relname = {table} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
), tree (id) AS (
  SELECT id FROM root UNION ALL SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = id
), tables AS (
  SELECT c.oid AS id, c.relname, c.relnamespace, c.reltuples, c.reltype, t.typarray
  FROM tree JOIN pg_class c ON c.oid = id LEFT JOIN pg_type t ON t.oid = c.reltype
), sequences AS (
  SELECT s.oid AS id, s.relname, s.relnamespace, t.relname AS of_table, a.attname AS of_column,
         a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AND q.seqincrement > 0 AS counts_up
  FROM pg_depend d JOIN tables t ON d.refobjid = t.id JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    JOIN pg_attribute a ON a.attrelid = t.id AND a.attnum = d.refobjsubid JOIN pg_sequence q ON q.seqrelid = s.oid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
), parts (rank, kind, id, namespace, name) AS (
  SELECT CASE WHEN id IN (SELECT id FROM root) THEN 0 ELSE 1 END, 'TABLE', id, relnamespace, relname FROM tables
  UNION ALL SELECT 2, 'INDEX', c.oid, c.relnamespace, c.relname
    FROM pg_index i JOIN tables t ON i.indrelid = t.id JOIN pg_class c ON c.oid = i.indexrelid
  UNION ALL SELECT 3, 'SEQUENCE', id, relnamespace, relname FROM sequences
  UNION ALL SELECT 4, 'STATISTICS', e.oid, e.stxnamespace, e.stxname
    FROM pg_statistic_ext e JOIN tables t ON e.stxrelid = t.id
), keys AS (
  SELECT k.*, c.relkind = 'p' AS partitioned, pg_get_constraintdef(k.oid) AS definition,
         conrelid IN (SELECT id FROM tree) AS outgoing, confrelid IN (SELECT id FROM tree) AS incoming
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE k.contype = 'f' AND k.conparentid = 0
), readers (id, level) AS (
  SELECT r.ev_class, 1 FROM pg_depend d JOIN pg_rewrite r ON d.objid = r.oid
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjid IN (SELECT id FROM tree) AND r.ev_class NOT IN (SELECT id FROM tree)
  UNION SELECT r.ev_class, v.level + 1 FROM readers v JOIN pg_depend d ON d.refobjid = v.id
    JOIN pg_rewrite r ON d.objid = r.oid
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND r.ev_class <> v.id
), views AS (
  SELECT c.oid AS id, c.relkind, c.reloptions, max(level) AS level FROM readers JOIN pg_class c ON c.oid = readers.id
  WHERE c.relkind IN ('v', 'm') GROUP BY 1, 2, 3
), others (what) AS (
  SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
  WHERE d.deptype = 'n' AND (
      (d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT id FROM tree))
      OR (d.refclassid = 'pg_type'::regclass
          AND d.refobjid IN (SELECT reltype FROM tables UNION SELECT typarray FROM tables)))
    AND NOT (d.classid = 'pg_rewrite'::regclass
             AND d.objid IN (SELECT r.oid FROM pg_rewrite r WHERE r.ev_class IN (SELECT id FROM tree)
                                                                OR r.ev_class IN (SELECT id FROM views)))
    AND NOT (d.classid = 'pg_constraint'::regclass AND d.objid IN (
             SELECT oid FROM pg_constraint WHERE contype = 'f' OR conrelid IN (SELECT id FROM tree)))
    AND NOT (d.classid = 'pg_policy'::regclass
             AND d.objid IN (SELECT oid FROM pg_policy WHERE polrelid IN (SELECT id FROM tree)))
    AND NOT (d.classid = 'pg_trigger'::regclass
             AND d.objid IN (SELECT oid FROM pg_trigger WHERE tgrelid IN (SELECT id FROM tree)))
    AND NOT (d.classid = 'pg_attrdef'::regclass
             AND d.objid IN (SELECT oid FROM pg_attrdef WHERE adrelid IN (SELECT id FROM tree)))
    AND NOT (d.classid = 'pg_class'::regclass AND d.objid IN (SELECT id FROM parts))
  UNION SELECT 'its place in publication ' || p.pubname
    FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid IN (SELECT id FROM tree)
)
SELECT json_build_object(
  'oid', root.id::bigint, 'kind', root.relkind, 'is_partition', root.relispartition,
  'temporary_or_unlogged', root.relpersistence <> 'p',
  'rows', (SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM tables
           WHERE root.relkind <> 'p' OR id <> root.id),
  'size', (SELECT sum(pg_total_relation_size(id)) FROM tables),
  'parts', (SELECT coalesce(json_agg(json_build_object('kind', kind, 'table_schema', n.nspname, 'name', name)
              ORDER BY rank, parts.id), '[]') FROM parts JOIN pg_namespace n ON n.oid = namespace),
  'sequences', (SELECT coalesce(json_agg(json_build_object('name', relname, 'table', of_table, 'column', of_column,
                  'counts_up', counts_up) ORDER BY id), '[]') FROM sequences),
  'keys_out', (SELECT coalesce(json_agg(json_build_object('table', conrelid::regclass::text, 'name', conname,
                 'definition', definition, 'partitioned', partitioned) ORDER BY conname), '[]')
               FROM keys WHERE outgoing AND NOT incoming),
  'keys_in', (SELECT coalesce(json_agg(json_build_object('table', conrelid::regclass::text, 'name', conname,
                'definition', definition, 'partitioned', partitioned) ORDER BY conrelid::regclass::text, conname), '[]')
              FROM keys WHERE incoming AND NOT outgoing),
  'views', (SELECT coalesce(json_agg(json_build_object('name', id::regclass::text, 'materialized', relkind = 'm',
              'level', level, 'definition', pg_get_viewdef(id),
              'options', coalesce(array_to_string(reloptions, ', '), '')) ORDER BY level, id), '[]') FROM views),
  'others', (SELECT coalesce(json_agg(what ORDER BY what), '[]') FROM others))
FROM root"""
