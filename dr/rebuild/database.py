"""The database of a rebuilt platform: what Git brought up, whether it is the lost one, and what to recover it from.

A Cluster that is bootstrapped again under the old name archives to the old name's folder. CloudNativePG refuses
that: such a Cluster is healthy and archives nothing ("Expected empty archive"), so that no base backup of it can be
taken either. Unless its manifest says ``skipEmptyWalArchiveCheck``: then it would write over the very segments that the
lost database is to be recovered from, and so it is fenced the moment it is seen.

Where the Cluster that Git declares archived to that very folder before, it is the source by its name. Where the newest
archive is another generation's, the same specification stands for that one, with its serverName.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import yaml

from dr.archive.contents import Archive
from dr.archive.promise import read_history
from dr.archive.reader import find_archive
from dr.archive.usable_archives import UsableArchive
from dr.cnpg.cluster import BARMAN_PLUGIN, ClusterSnapshot, cluster_behind
from dr.cnpg.clusters import find_cluster, gave_up, list_clusters
from dr.cnpg.fencing import forbid_writing
from dr.cnpg.primary import SERVER, psql_of
from dr.config.names import free_name
from dr.core.commands import command_line
from dr.core.errors import AccessError, RecoveryError, VerificationError
from dr.core.waiting import poll
from dr.core.wal_names import position_of
from dr.engine.backend import state_folder
from dr.kube import workloads
from dr.rebuild.data_origin import DatabaseSeen, Origin, OriginVerdict, judge_origin
from dr.rebuild.layers import Watch
from dr.rebuild.store import open_text_store
from dr.recovery.run import RecoveryOptions
from dr.recovery.verify import verify_database
from dr.run.session import Session

SKIPS_CHECK = "cnpg.io/skipEmptyWalArchiveCheck"
_LOOK_SECONDS = 1.0
_GIT_SECONDS = 300
"""How long a correction of Git is waited for: Argo CD looks into a repository every three minutes."""
_NOT_YET = {"not-found", "cnpg-missing", "api-group-missing"}
_IDENTITY = (
    "SELECT system_identifier FROM pg_control_system()",
    "SELECT timeline_id FROM pg_control_checkpoint()",
    "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END",
    """SELECT pg_read_file('pg_wal/' || lpad(upper(to_hex(timeline_id)), 8, '0') || '.history', 0, 1048576, true)
    FROM pg_control_checkpoint()""",
)
_CLOCKS = timedelta(seconds=5)
"""How far the bucket's clock may be from the API server's."""


@dataclass(frozen=True, kw_only=True)
class DatabaseFound:
    """The Cluster that Git declares, as it came up within the time, and where its data come from."""

    cluster: ClusterSnapshot
    verdict: OriginVerdict
    fenced: bool


def find_database(session: Session, archive: Archive, watch: Watch, *, known: Mapping[str, str]) -> DatabaseFound:
    """Wait for the Cluster behind the environment's Service, and judge it. ``archive`` is the one that survived.

    Not longer than ``timeouts.rebuildMinutes``. Raises RecoveryError ``database-missing`` when nothing is declared
    by then, ``git-names-another-bucket`` when it is to archive elsewhere, VerificationError ``archive-written`` when it
    has written into the archive, AccessError.
    """
    cluster, fenced = _await(session, watch)
    verdict = judge_origin(cluster, _ask(session, cluster), archive, known=known)
    if verdict.origin is not Origin.RESTORED and cluster.server_name == archive.server_name:
        # A stale one that could archive there and is not fenced yet may be the one that has served all along.
        _see_untouched(session, cluster, archive, fence=fenced or verdict.origin is not Origin.STALE)
    return DatabaseFound(cluster=cluster, verdict=verdict, fenced=fenced)


def _await(session: Session, watch: Watch) -> tuple[ClusterSnapshot, bool]:
    """The Cluster once it is healthy, has given up, or the time is up; and whether it was kept from writing."""
    environment = session.environment
    limit = environment.timeouts.rebuild_minutes * 60
    fenced = False
    for elapsed in poll(limit, stop=watch.stop, what="the database", every=_LOOK_SECONDS):
        name = environment.source_cluster
        cluster, missing = None, ""
        try:
            name = _declared(session) or name
            cluster = find_cluster(session.api, environment.namespace, name)
            missing = _missing_around(session, cluster)
        except AccessError as error:
            if error.code not in _NOT_YET:
                raise
        if cluster and not fenced and cluster.annotations.get(SKIPS_CHECK) == "enabled":
            forbid_writing(session.api, cluster.namespace, cluster.name)
            fenced = True
        elsewhere = _elsewhere(session, cluster) if cluster else ""
        if elsewhere and elapsed > _GIT_SECONDS:
            break
        if cluster and not elsewhere and not missing and (fenced or cluster.healthy or gave_up(session.api, cluster)):
            return cluster, fenced
        state = (cluster.phase or "just made") if cluster else "not declared yet"
        waiting = f"{name}: {state}{f'; waiting for {missing}' if missing else ''} ({elapsed:.0f} of {limit:.0f} s)"
        if elsewhere:
            waiting = f"{elsewhere}: waiting until Argo CD has brought another, at most {_GIT_SECONDS} s"
        watch.say(waiting)
    if elsewhere:
        raise RecoveryError("git-names-another-bucket", elsewhere, _correct_git(session))
    if cluster is None:
        raise RecoveryError(
            "database-missing",
            f"there is no Cluster {environment.namespace}/{name} {limit:.0f} s after CloudNativePG was ready",
            "does Git declare it? Look at Argo CD's Applications; timeouts.rebuildMinutes is the limit",
        )
    return cluster, fenced


def _elsewhere(session: Session, cluster: ClusterSnapshot) -> str:
    """That Git has it archive to another place than the rebuild was agreed with, in words; empty where it has not."""
    wanted = session.environment.backup.url
    if cluster.store is None or cluster.store.url == wanted:
        return ""
    return f"Git has {cluster.name} archive to {cluster.store.url}, and the backups are taken from {wanted}"


def _correct_git(session: Session) -> str:
    wanted = session.environment.backup.url
    return (
        f"write {wanted} as destinationPath into Git's manifests, then {session.environment.commands.dr('resume')}; "
        "or, if Git is right, the backup of Pulumi.<env>.yaml, or --durable, is not"
    )


def _declared(session: Session) -> str:
    """The Cluster that the Service points to, as Git says."""
    environment = session.environment
    external_name = workloads.external_name(session.api, environment.namespace, environment.service)
    return cluster_behind(external_name or "", environment.namespace)


def _missing_around(session: Session, cluster: ClusterSnapshot | None) -> str:
    """What a recovery needs besides the Cluster, and Argo CD has not brought yet."""
    environment, api = session.environment, session.api
    if workloads.external_name(api, environment.namespace, environment.service) is None:
        return f"the Service {environment.service}"
    for name in environment.workloads.deployments:
        if workloads.read_deployment(api, environment.workloads.namespace, name) is None:
            return f"the Deployment {environment.workloads.namespace}/{name}"
    if cluster and workloads.read_secret(api, cluster.namespace, cluster.app_secret) is None:
        return f"the Secret {cluster.app_secret}"
    return ""


def _ask(session: Session, cluster: ClusterSnapshot) -> DatabaseSeen | None:
    """What its database says of itself, None where it does not answer."""
    try:
        system_id, timeline, position, *history = psql_of(session.api, cluster, SERVER).ask(*_IDENTITY)
        findings = verify_database(psql_of(session.api, cluster), session.environment)
        return DatabaseSeen(
            system_id=system_id,
            timeline=int(timeline),
            lsn=position_of(position),
            history=read_history("\n".join(history)),
            answers={finding.name: finding.value for finding in findings},
        )
    except (AccessError, ValueError):
        return None


def _see_untouched(session: Session, cluster: ClusterSnapshot, before: Archive, *, fence: bool) -> None:
    """See that nothing was written to the archive since ``cluster`` was made. Raises VerificationError.

    With ``fence`` a cluster that has written is fenced; one that may have served all along is not.
    """
    now, _ = find_archive(session.environment.backup, before.server_name)
    written = _written_since(now, cluster.created - _CLOCKS) if now else []
    if written:
        if fence:
            forbid_writing(session.api, cluster.namespace, cluster.name)
        wals = f"{session.environment.backup.url}/{before.server_name}/wals/"
        deleted = command_line("gcloud", "storage", "ls", "--soft-deleted", wals)
        raise VerificationError(
            "archive-written",
            f"the new Cluster {cluster.name} has written into the archive of the lost one: {', '.join(written[:5])}",
            f"it was {'fenced' if fence else 'not fenced, as its data are of the same database'}. What it wrote over "
            f"is to be had back by soft delete or versioning ({deleted}); then recover by hand",
        )


def _written_since(archive: Archive, since: datetime) -> list[str]:
    files = [name for name, made in archive.files.items() if made and made >= since]
    return sorted(files) + [backup.backup_id for backup in archive.backups if backup.begin >= since]


def wanted_from(session: Session, declared: ClusterSnapshot, survivor: UsableArchive) -> RecoveryOptions:
    """The recovery to the end of ``survivor``'s WAL. ``declared`` is the Cluster that Git has brought up.

    Its WAL is not sealed: it has nothing to do with what is recovered. The rebuild was agreed to with the end that the
    archive has.
    """
    if declared.server_name == survivor.server_name:
        return RecoveryOptions(target=None, source=declared.name, go_on=True, seal=False, insists=True)
    taken = {cluster.name for cluster in list_clusters(session.api, declared.namespace)}
    name = free_name(survivor.server_name, taken)
    environment = session.environment.name
    text = yaml.safe_dump(standing_for(declared, name=name, server_name=survivor.server_name))
    manifest = keep_file(f"{environment}-{name}.yaml", text)
    return RecoveryOptions(target=None, source=name, go_on=True, seal=False, source_manifest=manifest, insists=True)


def standing_for(declared: ClusterSnapshot, *, name: str, server_name: str) -> dict[str, Any]:
    """A manifest like ``declared``'s, of the Cluster ``name`` that archived to ``server_name``."""
    spec = deepcopy(dict(declared.spec))
    if declared.image and "imageCatalogRef" not in spec:
        spec["imageName"] = declared.image
    spec["bootstrap"] = {
        "initdb": {"database": declared.database, "owner": declared.owner, "secret": {"name": declared.app_secret}}
    }
    store = (spec.get("backup") or {}).get("barmanObjectStore")
    if store is not None:
        store["serverName"] = server_name
    for plugin in spec.get("plugins") or ():
        if plugin["name"] == BARMAN_PLUGIN:
            plugin.setdefault("parameters", {})["serverName"] = server_name
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": name, "namespace": declared.namespace},
        "spec": spec,
    }


def keep_file(name: str, text: str) -> str:
    """Write the file, over an earlier one, and return where it lies. Raises AccessError."""
    kept = open_text_store(f"file://{state_folder() / 'rebuild'}", name)
    before = kept.read()
    kept.write(text, over=before[1] if before else None)
    return kept.where
