"""What would stop a point-in-time recovery, found out before anything is touched.

CloudNativePG reports most of these too, minutes later, in the log of a pod that keeps failing.
"""

from collections.abc import Iterator
from dataclasses import replace

from dr.archive.contents import Archive, BaseBackup
from dr.archive.wal_needed import REFUSALS, problems_of_wal
from dr.archive.window import problems_of_base, problems_of_end
from dr.cnpg.cluster import TARGET_ANNOTATION, ClusterSnapshot, problems_of_archive
from dr.cnpg.recovered import app_secret_name
from dr.config.environment import Environment, Rule
from dr.config.names import SNAPSHOT_NAME_LIMIT, free_name, recovered_name_fault
from dr.core.commands import CommandLines
from dr.core.errors import Problem
from dr.core.target import time_of, written
from dr.core.text import exact_moment_of
from dr.kube.objects import problem_of_copy
from dr.recovery.situation import RecoveryRequest, Situation, base_of, problems_of_snapshot
from dr.traffic.writer_model import problems_around


def preconditions(environment: Environment, request: RecoveryRequest, situation: Situation) -> Iterator[Problem]:
    """Every precondition that does not hold, in the order in which they are worth fixing."""
    yield from problems_around(environment, situation.external_name, situation.workloads)
    source, name = situation.source, request.recovered_name
    if source is None:
        yield Problem(
            code="source-missing",
            cause=f"there is no Cluster {environment.namespace}/{request.source} to recover from",
            remedy=f"correct sourceCluster, or --source; there are: {', '.join(situation.other_clusters) or 'none'}. "
            "If it was deleted, give its manifest with --source-manifest: the bucket has no copy of it",
        )
        return
    yield from _problems_of_source(environment, request, situation, source)
    yield from _problems_of_target(environment.commands, request, situation)
    fault = recovered_name_fault(name, limit=SNAPSHOT_NAME_LIMIT)
    if fault and base_of(request.target, request.snapshot, situation).snapshot:
        yield Problem(
            code="name-impossible",
            cause=f"the recovered cluster's name {name!r} {fault}, from volume snapshots",
            remedy="give a shorter one with --recovered-name, or recover from the object store: --snapshot never",
        )
    if name == source.name:
        yield Problem(
            code="name-is-the-source",
            cause=f"{name} is the source itself; CloudNativePG never recovers in place",
            remedy=f"leave --recovered-name out, or give another, such as {source.name}-recovered",
        )
    elif situation.recovered is not None:
        yield from _problems_of_existing(environment, request, situation.recovered, situation.other_clusters)


def _problems_of_source(
    environment: Environment, request: RecoveryRequest, situation: Situation, source: ClusterSnapshot
) -> Iterator[Problem]:
    yield from problems_of_archive(source, plugin_fault=situation.plugin_fault)
    if source.store is not None and source.store.url != environment.backup.url:
        yield Problem(
            code="backup-place-differs",
            cause=f"{source.name} archives to {source.store.url}, and the configuration says {environment.backup.url}",
            remedy="correct backup in Pulumi.<env>.yaml: one of the two is another environment's archive",
        )
    if source.archiving.working is False and request.seal:
        yield Problem(
            code="archiving-failing",
            cause=f"WAL archiving of {source.name} fails: {source.archiving.message or 'no message'}",
            remedy="fix it first (credentials, bucket), or add --skip-seal if the target is already archived",
        )
    if not situation.app_secret_exists:
        yield Problem(
            code="secret-missing",
            cause=f"there is no Secret {source.namespace}/{source.app_secret} with the password of {source.owner}",
            remedy="create it with the keys username and password: the recovered database's owner gets that password",
        )
    elif problem := problem_of_copy(
        situation.password_copy,
        source.namespace,
        source=source.app_secret,
        name=app_secret_name(request.recovered_name),
        in_use=situation.recovered is not None and not situation.recovered_gave_up,
        commands=environment.commands,
    ):
        yield problem
    for secret in situation.missing_secrets:
        yield Problem(
            code="secret-missing",
            cause=f"there is no Secret {source.namespace}/{secret}, which {source.name} names",
            remedy="restore it: a backup holds no Secrets",
        )
    for storage_class in situation.missing_storage_classes:
        yield Problem(
            code="storage-class-missing",
            cause=f"there is no StorageClass {storage_class}, which {source.name} uses",
            remedy="create it; a volume of that class would stay pending",
        )
    if situation.volume_refusal:
        yield Problem(
            code="volume-refused",
            cause=situation.volume_refusal,
            remedy=f"raise the quota of {environment.namespace}, or free some of it: "
            + environment.commands.kubectl("describe", "quota", namespace=environment.namespace),
        )


def _problems_of_target(commands: CommandLines, request: RecoveryRequest, situation: Situation) -> Iterator[Problem]:
    source = situation.source
    yield from problems_of_snapshot(request.target, request.snapshot, situation)
    base = base_of(request.target, request.snapshot, situation)
    if base.snapshot is None:
        yield from _problems_of_stored(commands, request, situation)
    backup, archive = base.backup, base.archive
    if backup is not None and backup.major and source and source.major and backup.major != source.major:
        yield Problem(
            code="major-version-differs",
            cause=f"base backup {backup.backup_id} is of PostgreSQL {backup.major}, and {source.name} runs "
            f"{source.major}: that cannot read its files",
            remedy="choose a target after the first base backup that was taken since the upgrade",
        )
    if backup is not None and archive is not None:
        alive = not situation.primary_down
        coming = alive and request.seal
        found = list(_problems_of_wal(commands, request, situation, archive, backup, coming=coming))
        yield from found
        if not found and (not alive or not (request.seal or request.insists)):
            yield from problems_of_end(archive, backup, request.target, alive=alive, commands=commands)
    time = time_of(request.target)
    if time is not None and situation.database_time is not None and time > situation.database_time:
        yield Problem(
            code="target-after-database-clock",
            cause=f"the target {request.target} is later than the database's own clock, "
            f"{exact_moment_of(situation.database_time)}",
            remedy="wait until the database's clock has passed it, or give an earlier target; then fix clock "
            "synchronisation (NTP)",
        )


def _problems_of_wal(
    commands: CommandLines,
    request: RecoveryRequest,
    situation: Situation,
    archive: Archive,
    base: BaseBackup,
    *,
    coming: bool,
) -> Iterator[Problem]:
    """What is wrong with the WAL behind ``base``; a recovery that has begun from it is not asked again."""
    if situation.recovered is not None and not situation.recovered_gave_up:
        return
    override = f"--override {Rule.TARGET_OUTSIDE}={request.recovered_name}"
    for problem in problems_of_wal(
        archive,
        base,
        request.target,
        seen_at=situation.seen_at,
        coming=coming,
        insists=request.insists,
        commands=commands,
    ):
        may_insist = not request.trial and (request.target is None or problem.code in REFUSALS)
        way = f"; to have what comes before it, add {override}" if may_insist else ""
        yield replace(problem, remedy=f"{problem.remedy}{way}")


def _problems_of_stored(commands: CommandLines, request: RecoveryRequest, situation: Situation) -> Iterator[Problem]:
    """What is wrong with the base backups in the object store, where one of them is to be begun from."""
    catalogue, source = situation.catalogue, situation.source
    if catalogue is None or source is None or source.store is None:
        return
    if catalogue.first_recoverable is None:
        others = ", ".join(sorted(catalogue.server_names - {catalogue.server_name}))
        beside = f"; there is something of {others}" if others else ""
        unfinished = situation.archive.incomplete[-1:] if situation.archive else ()
        why = "".join(f"; {one.backup_id} does not count: {one.why}" for one in unfinished)
        yield Problem(
            code="no-backup",
            cause=f"there is no completed base backup of {catalogue.server_name} below {source.store.url}{why}{beside}",
            remedy=f"check backup.path, and {commands.dr('window')}; without a base backup nothing can be recovered",
        )
    elif request.target is not None:
        yield from problems_of_base(catalogue, request.target, situation.archive, commands=commands)


def _problems_of_existing(
    environment: Environment, request: RecoveryRequest, existing: ClusterSnapshot, taken: tuple[str, ...]
) -> Iterator[Problem]:
    made_for = existing.annotations.get(TARGET_ANNOTATION)
    beside = f"--recovered-name {free_name(environment.recovered_cluster, taken)}"
    if made_for is None:
        yield Problem(
            code="recovered-exists",
            cause=f"there is a Cluster {existing.name} already, and this tool did not make it ({existing.phase})",
            remedy=f"recover under another name: {beside}",
        )
    elif made_for != written(request.target):
        yield Problem(
            code="recovered-exists",
            cause=f"there is a Cluster {existing.name} already, with another target, {made_for} ({existing.phase})",
            remedy=f"recover under another name: {beside}",
        )
    elif not request.go_on:
        yield Problem(
            code="recovered-exists",
            cause=f"there is a Cluster {existing.name} already, recovered to this very target ({existing.phase})",
            remedy=f"continue with it: --continue; or recover under another name: {beside}",
        )
