"""What PostgreSQL's catalogue says of one table, and the statement that asks for it.

The same question goes to the scratch Cluster (what belonged to the table at the target) and to the live database (what
is in its place now). The answer is one line of JSON.
"""

from collections.abc import Mapping

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
    table: such a one takes no ``NOT VALID`` (PostgreSQL manual, "ALTER TABLE"). ``referenced`` are the columns that it
    refers to.
    """

    table: str
    name: str
    definition: str
    partitioned: bool
    referenced: tuple[str, ...] = ()

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
    """A view on the table, or on such a view; ``level`` is 1 for one on the table itself. ``columns`` are those of the
    table that it reads.
    """

    name: str
    materialized: bool
    level: int
    definition: str
    options: str
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        """For people."""
        return f"{'materialized view' if self.materialized else 'view'} {self.name}"


class Trait(_Fact):
    """Something that makes the table what it is: a column, an index, a constraint, a trigger, a rule, a partition, the
    replica identity. ``what`` names it, ``definition`` is in PostgreSQL's words.
    """

    what: str
    definition: str


class ObjectColumn(_Fact):
    """A column that may hold the OIDs of large objects: its type is ``oid``, or a domain over it such as ``lo``."""

    table: str
    column: str

    def __str__(self) -> str:
        """For people."""
        return f"column {self.column} of {self.table}"


class TableFacts(_Fact):
    """One table, with its partitions if it has any.

    ``rows`` is the planner's estimate, ``size`` is in bytes with indexes. ``keys_out`` are its foreign keys to other
    tables, ``keys_in`` those of other tables to it; ``others`` is what else depends on it, in PostgreSQL's words.
    ``publications`` are those that publish it, in whatever way. ``rights`` are the owner and who was granted what,
    ``guards`` row security, policies and security labels, ``traits`` what else it is made of: all in words that are
    the same in two databases where the thing is. ``columns`` have their types, ``uniques`` are the sets of columns that
    a foreign key can refer to. ``calls`` are the functions that its indexes, constraints and generated columns call, as
    far as what *they* call may depend on ``search_path``. ``tablespaces`` are those besides the database's own.
    """

    oid: int
    kind: str
    owner: str
    is_partition: bool
    inherits: bool
    temporary_or_unlogged: bool
    rows: int
    size: int
    parts: tuple[Part, ...]
    sequences: tuple[Sequence, ...]
    keys_out: tuple[ForeignKey, ...]
    keys_in: tuple[ForeignKey, ...]
    views: tuple[View, ...]
    others: tuple[str, ...]
    publications: tuple[str, ...]
    rights: tuple[str, ...]
    guards: tuple[str, ...]
    traits: tuple[Trait, ...]
    columns: Mapping[str, str]
    uniques: tuple[tuple[str, ...], ...]
    calls: tuple[str, ...]
    object_columns: tuple[ObjectColumn, ...]
    tablespaces: tuple[str, ...]

    @property
    def path_of(self) -> str | None:
        """The role whose ``search_path`` the functions of ``calls`` are used to, None where there are none."""
        return self.owner if self.calls else None

    @property
    def unsupported(self) -> str:
        """Why it cannot be extracted or swapped, empty when it can."""
        if self.kind not in {PLAIN, PARTITIONED}:
            return f"it is {_KINDS.get(self.kind, 'no table')}"
        if self.temporary_or_unlogged:
            return "it is unlogged: its rows are in no WAL, so they cannot be recovered"
        if self.is_partition:
            return "it is a partition: name the partitioned table that it belongs to"
        if self.inherits:
            return "it inherits from another table, which would show its rows twice"
        if self.kind == PLAIN and len([part for part in self.parts if part.kind == "TABLE"]) > 1:
            return "other tables inherit from it"
        if len({part.table_schema for part in self.parts}) > 1:
            return "its partitions, or what belongs to them, lie in other schemas"
        return ""


class LiveSeen(_Fact):
    """What was seen in the live database. ``staged`` says that a load has left its schema; ``recovered`` and ``kept``
    are the oids of what bears the names that the recovered table, and the one it takes the place of, would get.
    ``publishing`` are the publications that take in every table of the schema, ``event_triggers`` those that are on.
    """

    schema_exists: bool
    staged: bool
    table: TableFacts | None
    recovered: int | None
    kept: int | None
    publishing: tuple[str, ...] = ()
    event_triggers: tuple[str, ...] = ()


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
    # It goes to the pod in a URL, so it is kept short.
    short = " ".join(_TABLE.split())
    return short.replace("{schema}", literal(table.schema)).replace("{table}", literal(table.table))


def ask_live(table: TableName, *, recovered: TableName, kept: TableName, staging: str) -> str:
    """The statement whose answer is :class:`LiveSeen` as JSON."""
    return f"""SELECT json_build_object(
      'schema_exists', EXISTS (SELECT FROM pg_namespace WHERE nspname = {literal(table.schema)}),
      'staged', EXISTS (SELECT FROM pg_namespace WHERE nspname = {literal(staging)}),
      'table', ({ask_table(table)}),
      'recovered', to_regclass({literal(recovered.sql)})::oid::bigint,
      'kept', to_regclass({literal(kept.sql)})::oid::bigint,
      'publishing', ({_PUBLISHING.replace("{schema}", literal(table.schema))}),
      'event_triggers', (SELECT coalesce(json_agg(evtname ORDER BY evtname), '[]') FROM pg_event_trigger
                         WHERE evtenabled <> 'D'))"""


# A schema's place in a publication is in a catalog that came with PostgreSQL 15; its dependencies are in every version.
_PUBLISHING = """SELECT coalesce(json_agg(pubname ORDER BY pubname), '[]') FROM pg_publication p
  WHERE puballtables OR EXISTS (
    SELECT FROM pg_depend a JOIN pg_depend b USING (classid, objid)
    WHERE a.classid = to_regclass('pg_catalog.pg_publication_namespace')
      AND a.refclassid = 'pg_namespace'::regclass AND a.refobjid = to_regnamespace(quote_ident({schema}))
      AND b.refclassid = 'pg_publication'::regclass AND b.refobjid = p.oid)"""


_TABLE = """WITH RECURSIVE root AS (
  SELECT c.* , c.oid AS id FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = {schema} AND c.relname = {table} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
), tree (id) AS (
  SELECT id FROM root UNION ALL SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = id
), tables AS (
  SELECT c.oid AS id, c.relname, c.relnamespace, c.reltuples, c.reltype, t.typarray, c.relowner, c.relacl, c.relkind,
         c.reltablespace, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relpartbound
  FROM tree JOIN pg_class c ON c.oid = id LEFT JOIN pg_type t ON t.oid = c.reltype
), sequences AS (
  SELECT s.oid AS id, s.relname, s.relnamespace, s.relowner, s.relacl, t.relname AS of_table, a.attname AS of_column,
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
         (SELECT json_agg(attname ORDER BY place) FROM unnest(k.confkey) WITH ORDINALITY AS u (number, place)
            JOIN pg_attribute ON attrelid = k.confrelid AND attnum = number) AS referenced,
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
      (d.refclassid = 'pg_class'::regclass
       AND d.refobjid IN (SELECT id FROM tree UNION SELECT id FROM sequences))
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
  UNION SELECT 'its place in subscription ' || s.subname
    FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid WHERE r.srrelid IN (SELECT id FROM tree)
), granted (what, acl) AS (
  SELECT ' on ' || id::regclass, coalesce(relacl, acldefault('r', relowner)) FROM tables
  UNION ALL SELECT format(' (%I) on %s', attname, id::regclass), attacl
    FROM tables JOIN pg_attribute ON attrelid = id WHERE attacl IS NOT NULL AND NOT attisdropped
  UNION ALL SELECT format(' on the sequence of %I.%I', of_table, of_column), coalesce(relacl, acldefault('s', relowner))
    FROM sequences
), rights (what) AS (
  SELECT format('ownership of %s by %s', id::regclass, pg_get_userbyid(relowner)) FROM tables
  UNION SELECT privilege_type || what || ' to ' || CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee)::text
      END || CASE WHEN is_grantable THEN ' with grant option' ELSE '' END
    FROM granted, aclexplode(acl)
), guards (what) AS (
  SELECT 'row security of ' || id::regclass FROM tables WHERE relrowsecurity
  UNION SELECT 'row security for the owner of ' || id::regclass FROM tables WHERE relforcerowsecurity
  UNION SELECT format('policy %I of %s, %s, FOR %s TO %s', polname, id::regclass,
      CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, polcmd,
      (SELECT string_agg(role, ', ' ORDER BY role) FROM (SELECT CASE r WHEN 0 THEN 'PUBLIC'
         ELSE pg_get_userbyid(r)::text END FROM unnest(polroles) r) AS named (role)))
      || coalesce(' USING (' || pg_get_expr(polqual, polrelid) || ')', '')
      || coalesce(' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')', '')
    FROM tables JOIN pg_policy ON polrelid = id
  UNION SELECT format('security label of %s on %s: %s', provider, pg_describe_object(classoid, objoid, objsubid), label)
    FROM pg_seclabel WHERE classoid = 'pg_class'::regclass AND objoid IN (SELECT id FROM tree)
), traits (what, definition) AS (
  SELECT format('column %I', attname), concat_ws(' ', format_type(atttypid, atttypmod),
      CASE WHEN attcollation <> typcollation THEN 'COLLATE ' || attcollation::regcollation END,
      CASE WHEN attnotnull THEN 'NOT NULL' END,
      CASE attidentity WHEN 'a' THEN 'GENERATED ALWAYS AS IDENTITY'
                       WHEN 'd' THEN 'GENERATED BY DEFAULT AS IDENTITY' END,
      CASE WHEN attgenerated <> '' THEN 'GENERATED ALWAYS AS (' || pg_get_expr(adbin, adrelid) || ')'
           ELSE 'DEFAULT ' || pg_get_expr(adbin, adrelid) END)
    FROM root JOIN pg_attribute ON attrelid = root.id AND attnum > 0 AND NOT attisdropped
      JOIN pg_type t ON t.oid = atttypid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  UNION ALL SELECT format('constraint %I of %s', conname, conrelid::regclass), pg_get_constraintdef(oid)
    FROM pg_constraint
    WHERE conrelid IN (SELECT id FROM tree) AND contype <> 'n' AND conparentid = 0 AND coninhcount = 0
  UNION ALL SELECT 'index ' || indexrelid::regclass, pg_get_indexdef(indexrelid)
    FROM pg_index JOIN pg_class c ON c.oid = indexrelid
    WHERE indrelid IN (SELECT id FROM tree) AND NOT c.relispartition
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND conrelid = indrelid)
  UNION ALL SELECT format('trigger %I of %s', tgname, tgrelid::regclass), pg_get_triggerdef(oid) || CASE tgenabled
      WHEN 'D' THEN ', disabled' WHEN 'R' THEN ', on replicas' WHEN 'A' THEN ', always' ELSE '' END
    FROM pg_trigger WHERE tgrelid IN (SELECT id FROM tree) AND NOT tgisinternal AND tgparentid = 0
  UNION ALL SELECT format('rule %I of %s', rulename, ev_class::regclass), pg_get_ruledef(oid)
    FROM pg_rewrite WHERE ev_class IN (SELECT id FROM tree)
  UNION ALL SELECT 'partition ' || id::regclass, pg_get_expr(relpartbound, id)
    FROM tables WHERE relpartbound IS NOT NULL
  UNION ALL SELECT 'replica identity of ' || id::regclass, CASE relreplident WHEN 'f' THEN 'FULL'
      WHEN 'n' THEN 'NOTHING' ELSE 'USING INDEX '
      || (SELECT indexrelid::regclass FROM pg_index WHERE indrelid = id AND indisreplident) END
    FROM tables WHERE relreplident <> 'd'
), called (id) AS (
  SELECT refobjid FROM pg_depend d WHERE refclassid = 'pg_proc'::regclass AND (
      (classid = 'pg_class'::regclass AND objid IN (SELECT id FROM parts))
      OR (classid = 'pg_attrdef'::regclass AND objid IN (SELECT d.oid FROM pg_attrdef d JOIN pg_attribute
            ON attrelid = adrelid AND attnum = adnum WHERE adrelid IN (SELECT id FROM tree) AND attgenerated <> ''))
      OR (classid = 'pg_constraint'::regclass AND objid IN (SELECT oid FROM pg_constraint
            WHERE conrelid IN (SELECT id FROM tree)
               OR contypid IN (SELECT atttypid FROM pg_attribute WHERE attrelid IN (SELECT id FROM tree)))))
)
SELECT json_build_object(
  'oid', root.id::bigint, 'kind', root.relkind, 'owner', pg_get_userbyid(root.relowner),
  'is_partition', root.relispartition,
  'inherits', NOT root.relispartition AND EXISTS (SELECT FROM pg_inherits WHERE inhrelid = root.id),
  'temporary_or_unlogged', root.relpersistence <> 'p',
  'rows', (SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM tables
           WHERE root.relkind <> 'p' OR id <> root.id),
  'size', (SELECT sum(pg_total_relation_size(id)) FROM tables),
  'parts', (SELECT coalesce(json_agg(json_build_object('kind', kind, 'table_schema', n.nspname, 'name', name)
              ORDER BY rank, parts.id), '[]') FROM parts JOIN pg_namespace n ON n.oid = namespace),
  'sequences', (SELECT coalesce(json_agg(json_build_object('name', relname, 'table', of_table, 'column', of_column,
                  'counts_up', counts_up) ORDER BY id), '[]') FROM sequences),
  'keys_out', (SELECT coalesce(json_agg(json_build_object('table', conrelid::regclass::text, 'name', conname,
                 'definition', definition, 'partitioned', partitioned, 'referenced', referenced)
                 ORDER BY conname), '[]')
               FROM keys WHERE outgoing AND NOT incoming),
  'keys_in', (SELECT coalesce(json_agg(json_build_object('table', conrelid::regclass::text, 'name', conname,
                'definition', definition, 'partitioned', partitioned, 'referenced', referenced)
                ORDER BY conrelid::regclass::text, conname), '[]')
              FROM keys WHERE incoming AND NOT outgoing),
  'views', (SELECT coalesce(json_agg(json_build_object('name', id::regclass::text, 'materialized', relkind = 'm',
              'level', level, 'definition', pg_get_viewdef(id),
              'options', coalesce(array_to_string(reloptions, ', '), ''),
              'columns', (SELECT coalesce(json_agg(DISTINCT attname), '[]') FROM pg_depend d
                 JOIN pg_rewrite r ON d.objid = r.oid JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
                 WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
                   AND d.refobjid IN (SELECT id FROM tree) AND attnum > 0 AND r.ev_class = views.id)
              ) ORDER BY level, id), '[]') FROM views),
  'others', (SELECT coalesce(json_agg(what ORDER BY what), '[]') FROM others),
  'publications', (SELECT coalesce(json_agg(DISTINCT p.pubname), '[]') FROM pg_publication_tables p
                   JOIN pg_namespace n ON n.nspname = p.schemaname
                   JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
                   WHERE c.oid IN (SELECT id FROM tree)),
  'rights', (SELECT json_agg(what ORDER BY what) FROM rights),
  'guards', (SELECT coalesce(json_agg(what ORDER BY what), '[]') FROM guards),
  'traits', (SELECT coalesce(json_agg(json_build_object('what', what, 'definition', definition) ORDER BY what), '[]')
             FROM traits),
  'columns', (SELECT coalesce(json_object_agg(attname, concat_ws(' ', format_type(atttypid, atttypmod),
                CASE WHEN attcollation <> typcollation THEN 'COLLATE ' || attcollation::regcollation END)), '{}')
              FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
              WHERE attrelid = root.id AND attnum > 0 AND NOT attisdropped),
  'uniques', (SELECT coalesce(json_agg((SELECT json_agg(attname ORDER BY attname)
                FROM unnest(indkey::int2[]) WITH ORDINALITY AS u (number, place)
                JOIN pg_attribute ON attrelid = indrelid AND attnum = number WHERE place <= indnkeyatts)), '[]')
              FROM pg_index WHERE indrelid = root.id AND indisunique AND indimmediate
                AND indpred IS NULL AND indexprs IS NULL),
  'calls', (SELECT coalesce(json_agg(DISTINCT p.oid::regprocedure::text), '[]') FROM called
            JOIN pg_proc p ON p.oid = called.id JOIN pg_language l ON l.oid = prolang
            WHERE pronamespace <> 'pg_catalog'::regnamespace AND lanname NOT IN ('c', 'internal')
              AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE starts_with(c, 'search_path='))),
  'object_columns', (SELECT coalesce(json_agg(json_build_object('table', attrelid::regclass::text, 'column', attname)
                       ORDER BY attnum), '[]')
                     FROM pg_attribute JOIN pg_type t ON t.oid = atttypid WHERE attrelid = root.id AND attnum > 0
                       AND NOT attisdropped AND 'oid'::regtype IN (t.oid, t.typbasetype)),
  'tablespaces', (SELECT coalesce(json_agg(spcname ORDER BY spcname), '[]') FROM pg_tablespace
                  WHERE oid IN (SELECT c.reltablespace FROM parts JOIN pg_class c ON c.oid = parts.id)))
FROM root"""
