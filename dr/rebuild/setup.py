"""Putting together what a full rebuild needs: the stacks, its journal next to their state, the way to the cluster."""

import os
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from dr.cli.wiring import journal_of, open_stack
from dr.config.environment import Environment
from dr.config.infrastructure import ROOT, Infrastructure, Platform
from dr.config.kubernetes_access import KubernetesAccess
from dr.config.load import argocd_of, infrastructure_of, load_infrastructure
from dr.core.history import Holder
from dr.engine.backend import Backend, check_folder, state_folder
from dr.engine.command import find_pulumi
from dr.engine.processes import this_process
from dr.infra.credentials import cluster_endpoint, read_credentials, write_kubeconfig
from dr.kube.api import KubernetesApi
from dr.rebuild.layers import ArgoCdLayer, InfrastructureLayer, PlatformStacks, RebuildContext
from dr.rebuild.observe import RegionMove, observe
from dr.rebuild.plan import OPERATION, RebuildRequest, RebuildSituation
from dr.rebuild.report import RebuildReport
from dr.rebuild.run import Rebuild
from dr.rebuild.store import RebuildLease, RebuildRecords, rebuild_records
from dr.reports.document import ReportFiles
from dr.run.journal import Journal
from dr.run.runner import Reporter
from dr.run.session import Session, utc_now

_DEFAULT_ROOT = ("argocd", ROOT)


@dataclass
class RebuildSetup:
    """One environment, and all that its rebuild works with."""

    environment: Environment
    request: RebuildRequest
    platform: Platform
    move: RegionMove | None
    layers: PlatformStacks
    argocd_contexts: tuple[str, ...]
    """How the stack that brings Argo CD calls the cluster, for which nothing else may stand."""
    records: RebuildRecords
    take_over: bool

    def look(self) -> RebuildSituation:
        """What is there now."""
        return observe(self.environment, self.layers, self.records, self.move)

    def run(self, rebuild: Rebuild, reporter: Reporter, stop: Event) -> RebuildReport:
        """Do what was agreed to. Raises a DrError."""
        environment, me = self.environment, this_process()
        path = journal_of(environment.name)
        common = {"operation": OPERATION, "environment": environment.name, "user": me.operator, "pid": os.getpid()}
        stage = RebuildContext(
            environment=environment,
            layers=self.layers,
            records=self.records,
            lease=RebuildLease(Backend.of(environment).url, environment.commands),
            holder=me,
            connect=lambda: self._connect(me, stop),
            inner=open_stack,
            journal=Journal(path=path, common=common, records=self.records, user=me.operator),
            reporter=reporter,
            clock=utc_now,
            stop=stop,
            take_over=self.take_over,
            known=_last_answers(path, environment),
            moved=self.platform if self.move else None,
        )
        return rebuild.run(stage)

    def _connect(self, me: Holder, stop: Event) -> Session:
        """A session on the cluster that the platform stack holds, by a kubeconfig of its own.

        Pulumi's provider reads the same file, by the variable, which is therefore set for this process and all that it
        starts. A kubeconfig that the environment names is of the cluster that was lost.
        """
        plan, context = self.platform, self.environment.kubernetes.context
        contexts = (context, *self.argocd_contexts)
        file = state_folder() / "kubeconfig" / f"{self.environment.name}.yaml"
        server = cluster_endpoint(plan.gcp_project, plan.location, plan.cluster.name)
        write_kubeconfig(file, contexts=contexts, server=server)
        os.environ["KUBECONFIG"] = str(file)
        access = KubernetesAccess(context=context)
        # The operator's shell has not that variable, so the commands that are printed name the file.
        environment = self.environment.model_copy(update={"kubernetes": access}).said_with(kubeconfig=str(file))
        return Session(
            environment=environment,
            api=KubernetesApi(access, environment.commands),
            holder=me,
            stop=stop,
            take_over=self.take_over,
        )


def open_setup(environment: Environment, folder: Path, request: RebuildRequest, *, take_over: bool) -> RebuildSetup:
    """What the rebuild of ``environment`` works with; nothing of it is touched yet. Raises ConfigError, EngineError
    when Pulumi could not run, AccessError when the repository's credentials cannot be read.
    """
    check_folder(journal_of(environment.name).parent)
    environment = _with_durable(environment, folder, request.durable)
    found = infrastructure_of(environment, folder)
    platform = _platform(found, request)
    installed = find_pulumi()
    durable, there = InfrastructureLayer(found.durable, installed), InfrastructureLayer(platform, installed)
    for layer in (durable, there):
        layer.check(take_over=take_over)
    argocd = argocd_of(environment, folder)
    bringing = None
    if argocd is not None:
        # Its context stays: Pulumi knows the cluster by it, and would make everything anew in one of another name.
        plan = argocd.model_copy(update={"kubernetes": KubernetesAccess(context=argocd.kubernetes.context)})
        bringing = ArgoCdLayer(plan, read_credentials(argocd.credentials), installed)
        bringing.check(take_over=take_over)
    return RebuildSetup(
        environment=environment,
        request=request,
        platform=platform,
        move=RegionMove(lost=found.platform.region, wanted=request.region, state=Backend.of(environment).url)
        if request.region
        else None,
        layers=PlatformStacks(
            durable=durable,
            platform=there,
            argocd=bringing,
            root=(argocd.namespace, ROOT) if argocd else _DEFAULT_ROOT,
        ),
        argocd_contexts=(argocd.kubernetes.context,) if argocd else (),
        records=rebuild_records(environment),
        take_over=take_over,
    )


def _with_durable(environment: Environment, folder: Path, stack: str) -> Environment:
    """The environment with the backups that another durable stack holds. Raises ConfigError."""
    if not stack or environment.infrastructure is None:
        return environment
    stacks = environment.infrastructure.model_copy(update={"durable": stack})
    bucket = load_infrastructure(folder, stacks).durable.backup.bucket
    place = environment.backup.model_copy(update={"bucket": bucket})
    return environment.model_copy(update={"infrastructure": stacks, "backup": place})


def _platform(found: Infrastructure, request: RebuildRequest) -> Platform:
    if not request.region:
        return found.platform
    return found.platform.in_region(request.region, zone=request.zone or None)


def _last_answers(journal: Path, environment: Environment) -> dict[str, str]:
    """The last answers to the verification's questions that this machine knows of."""
    names = {query.name for query in environment.verification}
    known: dict[str, str] = {}
    for document in ReportFiles.beside(journal).read_all()[0]:
        known |= {finding.name: finding.value for finding in document.findings if finding.name in names}
    return known
