"""The Go programs that the lab builds from modules, as a table; each lands once in the cache, keyed by what made it."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import versions
from lab.cache_keys import content_key, publish_folder
from lab.paths import SOURCES, Cache
from lab.shell import run
from lab.tools.toolchain import Toolchain

RECIPE = "1"
"""Part of every key: to be raised when this module makes something else of the same sources."""


@dataclass(frozen=True)
class Program:
    """One program: its module below `lab/go/`, its package, and what must lie beside its binary."""

    name: str
    """The name of the binary."""
    module: str
    """Folder below `lab/go/` with the `go.mod` that pins everything."""
    package: str
    usual: float
    """Seconds of a cold build on two cores."""
    variables: tuple[str, ...] = ()
    """`-X` assignments: versions that upstream's own release build stamps into the binary."""
    beside: Callable[[Toolchain, Path, Path], None] | None = None
    """Puts more files into the folder; is given the toolchain, the module's folder and the folder to fill."""

    @property
    def module_root(self) -> Path:
        return SOURCES / "go" / self.module

    @property
    def linker_flags(self) -> str:
        return " ".join(["-s", "-w", *(f"-X {variable}" for variable in self.variables)])

    def key(self, toolchain: Toolchain) -> str:
        """Changes when the binary would: sources and pins, flags, compiler, this recipe."""
        return content_key(
            self.module_root,
            self.package,
            self.linker_flags,
            toolchain.version,
            toolchain.environment["GOFLAGS"],
            os.uname().machine,
            RECIPE,
        )

    def folder(self, cache: Cache, toolchain: Toolchain) -> Path:
        return cache.bin / f"{self.name}-{self.key(toolchain)}"

    def binary(self, cache: Cache, toolchain: Toolchain) -> Path:
        return self.folder(cache, toolchain) / self.name

    def build(self, cache: Cache, toolchain: Toolchain, log: Path, cancelled: threading.Event) -> str | None:
        """Have the program in the cache.

        Raises:
            LabError: its modules could not be fetched or it did not compile.
        """

        def make(folder: Path) -> None:
            run(
                [
                    toolchain.binary,
                    "build",
                    "-v",
                    "-ldflags",
                    self.linker_flags,
                    "-o",
                    folder / self.name,
                    self.package,
                ],
                what=f"building {self.name}",
                remedy="the log's last lines say whether a module could not be fetched (check the network and "
                "`go env GOPROXY`) or did not compile; then run `python -m lab up` again: it continues",
                log=log,
                env=toolchain.environment,
                cwd=self.module_root,
                cancelled=cancelled,
            )
            if self.beside is not None:
                self.beside(toolchain, self.module_root, folder)

        return None if publish_folder(self.folder(cache, toolchain), make) else "already built"


CNPG_MANIFEST = f"cnpg-{versions.CNPG}.yaml"


def _cnpg_manifest(toolchain: Toolchain, module_root: Path, folder: Path) -> None:
    sources = toolchain.module_folder(module_root, "github.com/cloudnative-pg/cloudnative-pg")
    shutil.copyfile(sources / "releases" / CNPG_MANIFEST, folder / CNPG_MANIFEST)


PLUGIN_MANIFEST = "manifest.yaml"


def _plugin_manifest(toolchain: Toolchain, module_root: Path, folder: Path) -> None:
    sources = toolchain.module_folder(module_root, "github.com/cloudnative-pg/plugin-barman-cloud")
    shutil.copyfile(sources / PLUGIN_MANIFEST, folder / PLUGIN_MANIFEST)


def _argocd_manifests(toolchain: Toolchain, module_root: Path, folder: Path) -> None:
    sources = toolchain.module_folder(module_root, "github.com/argoproj/argo-cd/v3") / "manifests"
    for name, place in (("crds", "crds"), ("config", "base/config")):
        (folder / name).mkdir()
        for file in (sources / place).glob("argocd-*.yaml" if name == "config" else "*-crd.yaml"):
            shutil.copyfile(file, folder / name / file.name)


def _provider_schema(toolchain: Toolchain, module_root: Path, folder: Path) -> None:
    """The provider reads both files from beside itself (its `main.go`); upstream's Makefile stamps the version."""
    sources = toolchain.module_folder(module_root, "github.com/pulumi/pulumi-kubernetes/provider/v4")
    sources /= "cmd/pulumi-resource-kubernetes"
    schema = json.loads((sources / "schema.json").read_text())
    (folder / "schema.json").write_text(json.dumps({**schema, "version": versions.PULUMI_KUBERNETES}))
    shutil.copyfile(sources / "terraform-mapping.json", folder / "terraform-mapping.json")


def _language_exec(toolchain: Toolchain, _module_root: Path, folder: Path) -> None:
    """The script that the language host starts a program with comes from the engine's release, not the host's."""
    sources = toolchain.module_folder(SOURCES / "go" / "pulumi", "github.com/pulumi/pulumi/sdk/v3")
    script = folder / "pulumi-language-python-exec"
    shutil.copyfile(sources / "python" / "cmd" / script.name, script)
    script.chmod(0o755)


_KUBE_VERSION = "k8s.io/component-base/version"
_MAJOR, _MINOR, _ = versions.KUBERNETES.split(".")

KUBE = Program(
    name="kube",
    module="kube",
    package=".",
    usual=570,
    variables=(
        f"{_KUBE_VERSION}.gitVersion=v{versions.KUBERNETES}",
        f"{_KUBE_VERSION}.gitMajor={_MAJOR}",
        f"{_KUBE_VERSION}.gitMinor={_MINOR}",
    ),
)
PAUSE = Program(name="pause", module="pause", package=".", usual=3)
ACTIONLINT = Program(
    name="actionlint", module="actionlint", package="github.com/rhysd/actionlint/cmd/actionlint", usual=25
)
"""No part of the lab: a test of the workflows asks for it."""
CNPG = Program(
    name="manager",
    module="cnpg",
    package="github.com/cloudnative-pg/cloudnative-pg/cmd/manager",
    usual=150,
    variables=(f"github.com/cloudnative-pg/cloudnative-pg/pkg/versions.buildVersion={versions.CNPG}",),
    beside=_cnpg_manifest,
)
BARMAN_PLUGIN = Program(
    name="plugin-barman-cloud",
    module="plugin-barman-cloud",
    package="github.com/cloudnative-pg/plugin-barman-cloud/cmd/manager",
    usual=150,
    beside=_plugin_manifest,
)
ARGOCD = Program(
    name="argocd",
    module="argocd",
    package=".",
    usual=400,
    variables=(f"github.com/argoproj/argo-cd/v3/common.version={versions.ARGOCD}",),
    beside=_argocd_manifests,
)
COREDNS = Program(name="coredns", module="coredns", package="github.com/coredns/coredns", usual=180)
PULUMI = Program(
    name="pulumi",
    module="pulumi",
    package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    usual=360,
    variables=(f"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={versions.PULUMI}",),
)
PULUMI_KUBERNETES = Program(
    name="pulumi-resource-kubernetes",
    module="kubernetes-provider",
    package=".",
    usual=630,
    variables=(f"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version={versions.PULUMI_KUBERNETES}",),
    beside=_provider_schema,
)
PULUMI_LANGUAGE = Program(
    name="pulumi-language-python",
    module="pulumi-language-python",
    package="github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",
    usual=30,
    beside=_language_exec,
)
