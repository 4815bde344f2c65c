"""Making a named restore point before a risky change, and seeing that it is in the archive.

It changes nothing but the WAL, by one record. The lease is held meanwhile: a restore point in the middle of somebody's
recovery or switchover would be one in a database that is being left.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from dr.archive.reader import read_catalogue
from dr.archive.seal import seal_wal
from dr.cnpg.cluster import cluster_behind
from dr.cnpg.clusters import find_cluster
from dr.cnpg.primary import SERVER, psql_of
from dr.core.errors import AccessError, RefusedError, StepFailedError, Stopped
from dr.core.plan import StepTaken
from dr.kube import workloads
from dr.mark.marks import Marks, check_mark_name, problems_of_mark, with_mark
from dr.postgres.sql import literal
from dr.run.lease import held
from dr.run.record import Mark, Record, source_of
from dr.run.session import Session

_MAKE = "SELECT point, pg_walfile_name(point) FROM pg_create_restore_point({name}) AS point"
_MADE = StepTaken(key="restore-point", title="Restore point")
_SEAL = StepTaken(key="seal-wal", title="Seal the WAL")


def list_marks(session: Session) -> Marks:
    """The marks that the environment's record keeps. Raises AccessError."""
    return _marks(session, _serving(session))


def make_mark(session: Session, name: str) -> Marks:
    """Make a restore point ``name`` in the serving Cluster, archive it, and return it alone.

    Safe to repeat: one that was made and not archived is archived. Raises RequestError, RefusedError, AccessError,
    StepFailedError.
    """
    check_mark_name(name)
    with held(session.lease, session.holder, take_over=session.take_over, clock=session.clock, stop=session.stop):
        environment, serving = session.environment, _serving(session)
        known = _marks(session, serving)
        source = find_cluster(session.api, environment.namespace, serving)
        catalogue = read_catalogue(environment.backup, source.store.server_name) if source and source.store else None
        problems = list(problems_of_mark(name, known, source, catalogue))
        base = catalogue.base_for(None) if catalogue else None
        if problems or source is None or source.primary is None or source.store is None or base is None:
            raise RefusedError(problems)
        psql = psql_of(session.api, source, SERVER)
        mark = next((mark for mark in known.marks if mark.name == name and mark.cluster == serving), None)
        if mark is None:
            ((lsn, segment),) = (line.split("|") for line in psql.ask(_MAKE.format(name=literal(name))))
            mark = Mark(
                name=name,
                cluster=serving,
                server_name=source.store.server_name,
                lsn=lsn,
                segment=segment,
                backup_id=base.backup_id,
                made=session.clock(),
                made_by=session.holder.operator,
            )
        with _made(session, name):
            _remember(session, mark)
            seal_wal(psql, stop=session.stop, say=lambda _: None)
            mark = mark.model_copy(update={"archived": True})
            _remember(session, mark)
        return replace(known, marks=(mark,))


def _serving(session: Session) -> str:
    """The Cluster that a recovery would come from."""
    environment = session.environment
    external_name = workloads.external_name(session.api, environment.namespace, environment.service)
    behind = cluster_behind(external_name or "", environment.namespace)
    return source_of(environment, serving=behind, record=session.records.read())


def _marks(session: Session, serving: str) -> Marks:
    record, environment = session.records.read(), session.environment
    marks = record.marks if record else ()
    return Marks(environment=environment.name, commands=environment.commands, serving=serving, marks=marks)


def _remember(session: Session, mark: Mark) -> None:
    def change(record: Record) -> Record:
        return record.model_copy(update={"marks": with_mark(record.marks, mark)})

    session.records.change(change, now=session.clock())


@contextmanager
def _made(session: Session, name: str) -> Iterator[None]:
    """What fails within the context says that the restore point was made."""
    try:
        yield
    except (AccessError, StepFailedError) as error:
        error.stopped = Stopped(
            at=_SEAL,
            done=(_MADE,),
            go_on=session.environment.commands.dr("mark", *(["--"] if name.startswith("-") else []), name),
            journal=f"ConfigMap {session.environment.namespace}/{session.records.name}",
        )
        raise
