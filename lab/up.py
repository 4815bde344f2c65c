"""`up`: the lab's parts as steps, and which needs which. How a part comes up stands in the part's own room."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from lab import config, down, machine, processes
from lab.cluster import Cluster
from lab.data import content
from lab.gcp import component as google
from lab.images import postgres, sidecar
from lab.images.binaries import OPERATOR, PAUSE_CONTAINER, PLUGIN
from lab.node import containerd, kubernetes, namespace, network, readiness
from lab.paths import CHECKOUT, Cache, State
from lab.platform import argocd, barman_plugin, chart, cnpg, dns, gcs, secrets, storage
from lab.steps import Runner, Step, Task
from lab.tools import programs, pulumi
from lab.tools.programs import CNPG_MANIFEST, PLUGIN_MANIFEST
from lab.tools.toolchain import toolchain


def up(where: State, cache: Cache, console: Console) -> None:
    """Bring up what is not up, and leave alone what is.

    Raises:
        LabError: a part did not come up.
    """
    if _of_another_boot(where):
        console.print("  the lab is older than the machine's last start: it is recreated")
        down.down(where)
    where.root.mkdir(parents=True, exist_ok=True, mode=0o755)
    machine.remember(where)
    os.environ[processes.MARK] = str(where.root)  # also for what is only built: `down` finds what a killed `up` leaves
    Runner(console, where.logs, cache.durations).run(_Lab(where, cache).steps())


def new_cluster(where: State, cache: Cache, console: Console) -> None:
    """Bring up an empty Kubernetes on a new node: what Google gives whoever asks for a cluster, and no more.

    Its images are loaded, as there is no registry to pull them from; and Argo CD's processes wait for Argo CD to be
    installed, as its pods would not be there before.

    Raises:
        LabError: a part did not come up, or was never built.
    """
    steps = {step.name: step for step in _Lab(where, cache).new_node_steps()}
    alone = [replace(step, needs=tuple(name for name in step.needs if name in steps)) for step in steps.values()]
    os.environ[processes.MARK] = str(where.root)
    Runner(console, where.logs, cache.durations).run(alone)


def _of_another_boot(where: State) -> bool:
    return any(record.boot_id != processes.boot_id() for record in processes.read_all(where))


class _Lab:
    """The steps' functions, over the places they share."""

    def __init__(self, where: State, cache: Cache) -> None:
        self.where = where
        self.cache = cache
        self.go = toolchain(cache)
        self.node_restarted = False

    def steps(self) -> list[Step]:
        """The Go builds follow one another, as each uses every core; the node comes up beside them when it can."""
        return [
            Step("packages", "install Debian packages", 30, machine.install_packages),
            Step("go", "have a Go toolchain", 20, lambda task: self.go.fetch(task.log, task.cancelled)),
            self._build(programs.PAUSE, "go"),
            self._build(programs.KUBE, programs.PAUSE.name),
            self._build(programs.CNPG, programs.KUBE.name),
            self._build(programs.COREDNS, programs.CNPG.name),
            Step("pulumi", "have Pulumi with its Kubernetes provider", 1020, self._pulumi, (programs.COREDNS.name,)),
            self._build(programs.BARMAN_PLUGIN, "pulumi"),
            self._build(programs.ARGOCD, programs.BARMAN_PLUGIN.name),
            Step("image-postgres", "make the PostgreSQL image", 150, self._postgres_image, ("packages",)),
            Step("image-operator", "make the operator's image", 1, self._operator_image, (programs.CNPG.name,)),
            Step("image-plugin", "make the plugin's image", 1, self._plugin_image, (programs.BARMAN_PLUGIN.name,)),
            Step(
                "image-sidecar",
                "make the plugin's sidecar image",
                1,
                lambda _: sidecar.build(self.cache, self.go),
                (programs.BARMAN_PLUGIN.name, "image-postgres"),
            ),
            Step("image-pause", "make the pause image", 1, self._pause_image, (programs.PAUSE.name,)),
            Step("network", "make the bridge", 0.3, lambda _: network.up(self.where), ("packages",)),
            Step("containerd", "start containerd", 1, self._containerd, ("network",)),
            Step("load-pause", "load the pause image", 0.5, self._load_pause, ("containerd", "image-pause")),
            Step(
                "load-postgres",
                "load the PostgreSQL image",
                15,
                self._load_postgres,
                ("load-operator", "image-postgres"),
            ),
            Step(
                "load-operator", "load the operator's image", 2, self._load_operator, ("load-pause", "image-operator")
            ),
            Step("load-plugin", "load the plugin's images", 3, self._load_plugin, ("load-postgres", *_PLUGIN_IMAGES)),
            Step("control-plane", "start the control plane", 8, self._control_plane, ("kube", "network")),
            Step("kubelet", "start the node", 3, self._node, ("control-plane", "load-pause")),
            Step("dns", "start cluster DNS", 2, self._dns, ("coredns", "control-plane")),
            Step("gcs", "start the GCS server", 1, lambda _: gcs.up(self.where), ("network",)),
            Step("storage", "start the volume provisioner", 2, self._storage, ("control-plane",)),
            Step("secrets", "start what copies Secrets", 0.1, lambda _: secrets.up(self.where), ("control-plane",)),
            Step("google", "start the double of Google", 5, self._google, ("gcs", "control-plane")),
            Step("cnpg", "start the CNPG operator", 20, self._cnpg, ("kubelet", "dns", "load-operator")),
            Step("plugin", "start the Barman Cloud plugin", 10, self._plugin, ("cnpg", "load-plugin")),
            Step("gitops", "start Argo CD", 6, self._argocd, (programs.ARGOCD.name, "control-plane", "packages")),
            Step("data", "make the databases, their backups and workloads", 60, self._data, _DATA_NEEDS),
            Step(
                "settings",
                "write configuration and links",
                0.1,
                self._settings,
                ("pulumi", "control-plane", programs.ARGOCD.name),
            ),
        ]

    def new_node_steps(self) -> list[Step]:
        """Those of `steps` that an empty cluster consists of, and Argo CD's processes, which wait."""
        return [
            *(step for step in self.steps() if step.name in _NEW_NODE),
            Step("gitops-processes", "start Argo CD's processes", 1, self._argocd_processes, ("kubelet",)),
        ]

    def _argocd_processes(self, _task: Task) -> None:
        argocd.start(self.where, programs.ARGOCD.folder(self.cache, self.go), self._kube)

    def _build(self, program: programs.Program, after: str) -> Step:
        def act(task: Task) -> str | None:
            return program.build(self.cache, self.go, task.log, task.cancelled)

        return Step(program.name, f"build {program.name}", program.usual, act, (after,))

    def _pulumi(self, task: Task) -> str | None:
        return pulumi.provide(self.where, self.cache, self.go, task)

    def _postgres_image(self, task: Task) -> str | None:
        return postgres.build(self.cache, task)

    def _operator_image(self, _task: Task) -> str | None:
        return OPERATOR.build(self.cache, self.go)

    def _plugin_image(self, _task: Task) -> str | None:
        return PLUGIN.build(self.cache, self.go)

    def _pause_image(self, _task: Task) -> str | None:
        return PAUSE_CONTAINER.build(self.cache, self.go)

    def _containerd(self, _task: Task) -> str | None:
        holder = processes.read(self.where, namespace.HOLDER)
        if holder is not None and not holder.alive():
            # What a crash left of the old node still holds its mounts and addresses.
            down.end_node(self.where)
        namespace.up(self.where)
        return containerd.up(self.where)

    def _load_pause(self, task: Task) -> str | None:
        return containerd.load(self.where, PAUSE_CONTAINER.archive(self.cache, self.go), task)

    def _load_postgres(self, task: Task) -> str | None:
        return containerd.load(self.where, postgres.archive(self.cache), task)

    def _load_operator(self, task: Task) -> str | None:
        return containerd.load(self.where, OPERATOR.archive(self.cache, self.go), task)

    def _load_plugin(self, task: Task) -> str | None:
        images = (PLUGIN.archive(self.cache, self.go), sidecar.archive(self.cache, self.go))
        outcomes = [containerd.load(self.where, image, task) for image in images]
        return None if None in outcomes else "already loaded"

    @property
    def _kube(self) -> Path:
        return programs.KUBE.binary(self.cache, self.go)

    def _control_plane(self, _task: Task) -> str | None:
        return kubernetes.control_plane_up(self.where, self._kube)

    def _node(self, _task: Task) -> str | None:
        outcome = kubernetes.node_up(self.where, self._kube)
        self.node_restarted = outcome is None
        return outcome

    def _dns(self, task: Task) -> str | None:
        cluster = Cluster(self.where, task.cancelled)
        return dns.up(self.where, programs.COREDNS.binary(self.cache, self.go), cluster)

    def _storage(self, task: Task) -> str | None:
        return storage.up(self.where, Cluster(self.where, task.cancelled))

    def _google(self, _task: Task) -> str | None:
        if not self.where.cloud.exists():
            google.sow(self.where, CHECKOUT)
        return google.up(self.where)

    def _cnpg(self, task: Task) -> str | None:
        manifest = programs.CNPG.folder(self.cache, self.go) / CNPG_MANIFEST
        image_key = OPERATOR.archive(self.cache, self.go).stem
        return cnpg.up(self.where, manifest, image_key, Cluster(self.where, task.cancelled))

    def _plugin(self, task: Task) -> str | None:
        manifest = programs.BARMAN_PLUGIN.folder(self.cache, self.go) / PLUGIN_MANIFEST
        image_key = PLUGIN.archive(self.cache, self.go).stem
        return barman_plugin.up(self.where, manifest, image_key, Cluster(self.where, task.cancelled))

    def _argocd(self, task: Task) -> str | None:
        folder = programs.ARGOCD.folder(self.cache, self.go)
        return argocd.up(self.where, folder, self._kube, Cluster(self.where, task.cancelled))

    def _data(self, task: Task) -> str | None:
        if self.where.gone_mark.exists():
            return "went with the cluster: a rebuild brings it back, or `reset` recreates it"
        if self.where.data_mark.exists():
            if self.node_restarted:
                task.note = "waiting for the pods"
                readiness.settle(self.where, Cluster(self.where, task.cancelled))
            return (
                "is there"
                if content.as_sources_make_it(self.where)
                else "is there, of other sources than these: `reset` renews it"
            )

        def note(text: str) -> None:
            task.note = text

        content.make(self.where, task.cancelled, note)
        return None

    def _settings(self, _task: Task) -> str | None:
        config.write(self.where)
        link_programs(self.where, self._kube)
        if (version := config.chart_version()) is not None:
            chart.write(self.where, programs.ARGOCD.folder(self.cache, self.go), version)
        return None


_NEW_NODE = frozenset(
    {
        *("network", "containerd", "load-pause", "load-operator", "load-postgres", "load-plugin"),
        *("control-plane", "kubelet", "dns", "storage", "secrets", "gcs"),
    }
)
_PLUGIN_IMAGES = ("image-plugin", "image-sidecar")
_DATA_NEEDS = ("cnpg", "storage", "gcs", "load-postgres")


def link_programs(where: State, kube: Path) -> None:
    """Fill the lab's `bin`: Pulumi's programs, and `kubectl`."""
    where.bin.mkdir(parents=True, exist_ok=True)
    found = pulumi.chosen(where)
    wanted = dict(found.programs) if found is not None else {}
    for old in where.bin.iterdir():
        if old.is_symlink() and old.name not in wanted:
            old.unlink()
    for name, target in wanted.items():
        link = where.bin / name
        if not link.is_symlink() or str(link.readlink()) != target:
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    kubectl = where.bin / "kubectl"
    # Its cache of what the API server offers would otherwise stay in the user's home.
    kubectl.write_text(f'#!/bin/sh\nKUBECACHEDIR="{where.root}/kubectl-cache" exec "{kube}" kubectl "$@"\n')
    kubectl.chmod(0o755)
