"""The Git repository that declares the platform, laid out as production's is: an app of apps over two environments.

It is made of the very manifests that the lab applies by itself, as text, so that their comments are in Git too.
Secrets, namespaces and the programs of the workloads stay outside of it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from string import Template

import yaml

from lab.cache_keys import replace_text
from lab.data import content
from lab.data.environments import DATABASES, ENVIRONMENTS, Environment
from lab.paths import State
from lab.platform import cnpg
from lab.shell import output

BRANCH = "main"
ROOT = "root"
"""The Application that declares the others."""
ROOT_FILE = "k8s/argocd/root.yaml"
APPLICATIONS = "k8s/argocd/apps"
PLACES = {"postgres": "middleware/postgres/manifests", "apps": "apps/manifests"}
"""Folder of `content.MANIFESTS` -> its place below `k8s/envs/<environment>`. Each is one Application."""

PLATFORM = "k8s/sys"
_SERVER_SIDE = """
    syncOptions:
      # The operator's kinds are too large for what a client writes down of its last apply.
      - ServerSideApply=true
"""
TEMPLATE = content.FOLDER / "application.yaml"

_REMEDY = "is there room on the disk? then run the command again"
_UNCONFIGURED = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
"""The lab's own commits depend on no settings of the user's."""


def name_of(environment: Environment, folder: str) -> str:
    """The name of an Application."""
    return f"{environment.name}-{folder}"


def applications() -> list[str]:
    """The names of all Applications, the root first."""
    return [ROOT, *(name_of(environment, folder) for environment in ENVIRONMENTS for folder in PLACES)]


def files(url: str, *, declares_enabled: bool, by_plugin: bool = False) -> dict[str, str]:
    """Everything in the repository: path -> text.

    Args:
        url: of the repository itself, as Argo CD reads it.
        declares_enabled: whether each Application but the root says `enabled: true`. What Git does not say, Argo CD
            leaves alone: so this decides whether the root undoes a pause of one of the others.
        by_plugin: whether one database archives by the plugin (`content.make`).
    """
    found = {ROOT_FILE: _application(url, ROOT, APPLICATIONS, "argocd")}
    for environment in ENVIRONMENTS:
        values = content.values_of(environment)
        for folder, place in PLACES.items():
            path = f"k8s/envs/{environment.name}/{place}"
            for file in content.files_of(environment, folder, by_plugin=by_plugin):
                found[f"{path}/{file.name}"] = Template(file.read_text()).substitute(values)
            name = name_of(environment, folder)
            namespace = DATABASES if folder == "postgres" else environment.name
            text = _application(url, name, path, namespace, declares_enabled=declares_enabled)
            found[f"{APPLICATIONS}/{name}.yaml"] = text
    return found


def _application(url: str, name: str, path: str, destination: str, *, declares_enabled: bool = False) -> str:
    return Template(TEMPLATE.read_text()).substitute(
        name=name,
        repository=url,
        branch=BRANCH,
        path=path,
        destination=destination,
        enabled="\n      enabled: true" if declares_enabled else "",
    )


def url(where: State) -> str:
    """How Argo CD reaches the repository."""
    return where.repository.as_uri()


def make(where: State, *, declares_enabled: bool) -> None:
    """Make the repository and a clone of it, as new: what was in them is gone.

    Raises:
        LabError: Git failed.
    """
    remove(where)
    clone = where.repository_clone
    where.repository.parent.mkdir(parents=True)
    _git("init", "--quiet", "--bare", "--template=", f"--initial-branch={BRANCH}", where.repository)
    _git("init", "--quiet", "--template=", f"--initial-branch={BRANCH}", clone)
    for name, value in (("user.name", "lab"), ("user.email", "lab@lab.local"), ("commit.gpgsign", "false")):
        _git("-C", clone, "config", name, value)
    _git("-C", clone, "remote", "add", "origin", url(where))
    declared = files(url(where), declares_enabled=declares_enabled, by_plugin=content.by_plugin(where))
    for path, text in declared.items():
        replace_text(clone / path, text)
    _git("-C", clone, "add", "--all")
    _git("-C", clone, "commit", "--quiet", "--message=Declare the platform as it is")
    _git("-C", clone, "push", "--quiet", "--set-upstream", "origin", BRANCH)


def declare_platform(where: State, operator: Path) -> None:
    """Have the repository declare, beside the data, what the data needs: for a cluster on which nothing is but Argo CD.

    Args:
        where: the lab; a repository that is there stays as it is, with what was committed in it.
        operator: the operator's manifest, as upstream releases it.

    Raises:
        LabError: Git failed.
    """
    if not where.repository.exists():
        make(where, declares_enabled=False)
    clone = where.repository_clone
    _git("-C", clone, "pull", "--quiet", "--ff-only")
    for path, text in platform_files(url(where), operator).items():
        replace_text(clone / path, text)
    _git("-C", clone, "add", "--all")
    if _git("-C", clone, "status", "--porcelain"):
        _git("-C", clone, "commit", "--quiet", "--message=Declare the platform below the data")
        _git("-C", clone, "push", "--quiet")


def platform_files(url: str, operator: Path) -> dict[str, str]:
    """What `declare_platform` adds: path -> text."""
    objects = cnpg.prepared(list(yaml.safe_load_all(operator.read_text())), "of-git")
    found = {f"{PLATFORM}/cnpg/manifests/operator.yaml": yaml.safe_dump_all(objects, sort_keys=False)}
    foundation = yaml.safe_dump_all(content.foundation(), sort_keys=False)
    found[f"{PLATFORM}/foundation/manifests/foundation.yaml"] = foundation
    for name, destination in (("cnpg", cnpg.NAMESPACE), ("foundation", DATABASES)):
        text = _application(url, name, f"{PLATFORM}/{name}/manifests", destination)
        found[f"{APPLICATIONS}/{name}.yaml"] = text + _SERVER_SIDE
    return found


def head(where: State) -> str:
    """The commit that Argo CD should be at.

    Raises:
        LabError: there is no such repository.
    """
    return _git("-C", where.repository, "rev-parse", BRANCH).strip()


def remove(where: State) -> None:
    """Remove the repository and the clone."""
    shutil.rmtree(where.repository.parent, ignore_errors=True)


def _git(*arguments: str | Path) -> str:
    return output(["git", *arguments], what="making the Git repository", remedy=_REMEDY, env=_UNCONFIGURED)
