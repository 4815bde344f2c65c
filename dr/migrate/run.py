"""Writing the move to the Barman Cloud plugin into a checkout. The cluster is looked at, and nothing of it changed."""

from dataclasses import replace
from pathlib import Path

from dr.cnpg.cluster import cluster_behind
from dr.cnpg.clusters import plugin_fault
from dr.core.commands import CommandLines
from dr.core.errors import Problem, RefusedError
from dr.gitops.argocd_pause import managers
from dr.gitops.checkout import Checkout, revision_of, source_of
from dr.kube import workloads
from dr.migrate.plan import MigrationReport, PluginMigration, migrate
from dr.run.record import Record
from dr.run.session import Session


def write_migration(
    session: Session, folder: Path, *, branch: str = "", push: bool = False, dry_run: bool = False
) -> MigrationReport:
    """Commit the change to a branch of the checkout at ``folder``, by default ``postgres-dr/<env>-plugin``.

    Raises RefusedError, RequestError or AccessError.
    """
    environment, api = session.environment, session.api
    record = session.records.read()
    external_name = workloads.external_name(api, environment.namespace, environment.service)
    serving = cluster_behind(external_name or "", environment.namespace)
    cluster = serving or (record and record.canonical) or environment.source_cluster
    _refuse(environment.commands, record, cluster)
    if environment.git is None:
        raise RefusedError(
            [
                Problem(
                    code="checkout-needed",
                    cause="where in Git the manifests are is not configured",
                    remedy="give git.manifests in Pulumi.<env>.yaml, the folder of the manifests in the checkout",
                )
            ]
        )
    checkout = Checkout(folder)
    source = source_of(environment.git, managers(session, clusters=[cluster]))
    repository = (source.repository if source else environment.git.repository) or ""
    if repository and not checkout.is_of(repository):
        raise RefusedError(
            [
                Problem(
                    code="checkout-of-another-repository",
                    cause=f"{checkout.root} is not a checkout of {repository}",
                    remedy="give one that is, with --checkout",
                )
            ]
        )
    revision = revision_of(checkout, source)
    files = checkout.read(environment.git.manifests, revision)
    found = migrate(files, cluster=cluster, namespace=environment.namespace, commands=environment.commands)
    report = MigrationReport(
        environment=environment.name,
        root=str(checkout.root),
        revision=revision,
        migration=_with_fault(found, plugin_fault(api)),
    )
    if dry_run:
        return report
    name = branch or f"postgres-dr/{environment.name}-plugin"
    commit = checkout.branch(name, base=revision, files=found.files, message=found.message(environment.name))
    pushed = checkout.push(name, remote_of=repository or None) if push else ""
    return replace(report, branch=name, commit=commit, pushed=pushed)


def _refuse(commands: CommandLines, record: Record | None, cluster: str) -> None:
    """Not in the middle of an incident: Git declares another Cluster then, or is about to."""
    status = f"{commands.dr('status')} shows the command to continue"
    problems = []
    if record and record.unfinished:
        problems.append(
            Problem(
                code="operation-unfinished",
                cause=f"the {record.unfinished.operation} that {record.unfinished.user} began is not done",
                remedy=f"end it first: {status}",
            )
        )
    if record and cluster in {recovery.cluster.name for recovery in record.recoveries}:
        problems.append(
            Problem(
                code="not-finalized",
                cause=f"the traffic is at the recovered Cluster {cluster}, which Git does not declare yet",
                remedy=f"finalize first: {status}",
            )
        )
    if problems:
        raise RefusedError(problems)


def _with_fault(found: PluginMigration, fault: str) -> PluginMigration:
    return replace(found, checks=(f"NOT READY: {fault}", *found.checks)) if fault else found
