"""Sealing the WAL of a recovery's source."""

from dr.archive.seal import Sealed, seal_wal
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.clusters import find_cluster
from dr.cnpg.primary import SERVER, psql_of
from dr.core.errors import AccessError, StepFailedError
from dr.run.runner import Reporter
from dr.run.session import Session


def seal_source(session: Session, reporter: Reporter, source: ClusterSnapshot) -> Sealed:
    """As :func:`seal_wal`, on the primary that ``source`` has now. A failure says what works without it: a person
    decides that, not a time limit.

    Raises what it raises, and StepFailedError ``source-replaced``.
    """
    now = find_cluster(session.api, source.namespace, source.name)
    if now is None or now.uid != source.uid:
        raise StepFailedError(
            "source-replaced",
            f"the Cluster {source.name} is not the one that the plan was made for: it was deleted"
            + (", and another one has its name" if now else ""),
            "repeat the command: it plans again, from what the archive has",
        )
    try:
        psql = psql_of(session.api, now, SERVER)
        return seal_wal(psql, stop=session.stop, say=reporter.progress)
    except (AccessError, StepFailedError) as error:
        if error.code != "exec-interrupted":
            error.remedy += "; or, if the primary is dead for certain, --skip-seal: what was not archived is lost then"
        raise
