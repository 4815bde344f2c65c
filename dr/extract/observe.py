"""Looking at everything an extraction decides on: what any recovery does, and the table in the live database."""

from concurrent.futures import ThreadPoolExecutor

from dr.before_drop.search import find_drop
from dr.cnpg.cluster import ClusterSnapshot, cluster_behind
from dr.cnpg.clusters import find_cluster, list_clusters
from dr.cnpg.primary import psql_of
from dr.cnpg.scratch import is_scratch_for, loaded_by
from dr.cnpg.scratches import list_scratches
from dr.config.names import scratch_name
from dr.core.errors import AccessError
from dr.core.target import TimeTarget
from dr.extract.preconditions import ExtractRequest, ExtractSituation
from dr.extract.statements import QUALIFIED, ask_prepared
from dr.extract.table_facts import LiveSeen, Prepared, TableFacts, ask_live
from dr.kube import workloads
from dr.postgres.table_name import TableName
from dr.recovery.observe import observe, read_manifest
from dr.recovery.situation import RecoveryRequest
from dr.run.record import Record, source_of
from dr.run.session import Session

_DATABASE_SECONDS = 20


def request_for(
    session: Session,
    *,
    table: TableName,
    target: TimeTarget | None,
    source: str | None,
    source_manifest: str | None,
    swap: bool,
    keep_scratch: bool,
    seal: bool,
) -> ExtractRequest:
    """What was asked for, with the source that the lineage gives where none is named; without a ``target``, it is just
    before the table was dropped. Raises RefusedError where that is not known, AccessError.
    """
    environment, record = session.environment, session.records.read()
    found = source or source_of(environment, serving=_serving(session), record=record)
    drop = None
    if target is None:
        drop = find_drop(session, found, table)
        target = drop.moment
        # A table that was renamed and then dropped is there under its last name.
        table = drop.called or table
    return ExtractRequest(
        table=table,
        target=target,
        drop=drop,
        source=found,
        stand_in=read_manifest(source_manifest, name=found, namespace=environment.namespace)
        if source_manifest
        else None,
        source_given=source is not None,
        swap=swap,
        keep_scratch=keep_scratch,
        seal=seal,
    )


def observe_extraction(session: Session, request: ExtractRequest) -> ExtractSituation:
    """The situation now. Looks only. Raises AccessError when the cluster or the bucket cannot be reached."""
    environment, api = session.environment, session.api
    scratches = list_scratches(api, environment.namespace)
    mine = [scratch for scratch in scratches if is_scratch_for(scratch, request.source, request.target)]
    taken = frozenset(cluster.name for cluster in list_clusters(api, environment.namespace))
    name = mine[-1].name if mine else scratch_name(request.source, taken)
    asked = RecoveryRequest(
        target=request.target,
        source=request.source,
        recovered_name=name,
        seal=request.seal,
        go_on=True,
        stand_in=request.stand_in,
    )
    live = find_cluster(api, environment.namespace, _live_name(session, session.records.read()))
    with ThreadPoolExecutor(max_workers=1) as pool:
        seen = pool.submit(_look_at_live, session, request, live)
        recovery = observe(session, asked)
        return ExtractSituation(
            recovery=recovery,
            scratch_name=name,
            live=live,
            live_seen=seen.result(),
            loaded=loaded_by(mine[-1], request.staging) if mine else None,
            found=_look_at_scratch(session, request, mine[-1], recovery.source) if mine else None,
            left=tuple(scratch.name for scratch in scratches if scratch.name != name),
        )


def _serving(session: Session) -> str:
    environment = session.environment
    external_name = workloads.external_name(session.api, environment.namespace, environment.service)
    return cluster_behind(external_name or "", environment.namespace)


def _live_name(session: Session, record: Record | None) -> str:
    """The Cluster that serves, or the environment's own where the Service points to none of the namespace."""
    serving = _serving(session)
    return serving or source_of(session.environment, serving=serving, record=record)


def _look_at_live(session: Session, request: ExtractRequest, live: ClusterSnapshot | None) -> LiveSeen | None:
    if live is None or live.primary is None:
        return None
    psql = psql_of(session.api, live)
    question = ask_live(request.table, recovered=request.recovered, kept=request.kept, staging=request.staging)
    try:
        *_, answer = psql.ask(QUALIFIED, question, limit=_DATABASE_SECONDS)
    except AccessError:
        return None
    return LiveSeen.model_validate_json(answer)


def _look_at_scratch(
    session: Session, request: ExtractRequest, scratch: ClusterSnapshot, source: ClusterSnapshot | None
) -> TableFacts | None:
    """The table of the target as an earlier run has found it, None where none has, or nobody answers."""
    if scratch.primary is None or not scratch.healthy or source is None:
        return None
    psql = psql_of(session.api, scratch, source.database)
    try:
        answer = "\n".join(psql.ask(ask_prepared(request.staging), limit=_DATABASE_SECONDS))
    except AccessError:
        return None
    return Prepared.model_validate_json(answer).facts if answer else None
