"""The Git repository declares what the lab applies by itself, with its comments, where production has it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from lab.data import content, repository
from lab.data.environments import ENVIRONMENTS
from lab.paths import State

URL = "file:///somewhere/platform.git"


def declared(*, enabled: bool = False) -> dict[str, str]:
    return repository.files(URL, declares_enabled=enabled)


def application(path: str, *, enabled: bool = False) -> dict[str, dict[str, dict[str, object]]]:
    found: dict[str, dict[str, dict[str, object]]] = yaml.safe_load(declared(enabled=enabled)[path])
    return found


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def where(tmp_path: Path) -> State:
    return State(tmp_path / "state")


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_layout_is_productions(environment: str) -> None:
    assert {path for path in declared() if environment in path} == {
        f"k8s/argocd/apps/{environment}-apps.yaml",
        f"k8s/argocd/apps/{environment}-postgres.yaml",
        f"k8s/envs/{environment}/apps/manifests/tomoda-api.yaml",
        f"k8s/envs/{environment}/apps/manifests/tomoda-async.yaml",
        f"k8s/envs/{environment}/middleware/postgres/manifests/backup.yaml",
        f"k8s/envs/{environment}/middleware/postgres/manifests/cluster.yaml",
        f"k8s/envs/{environment}/middleware/postgres/manifests/service.yaml",
    }


def test_git_declares_what_the_lab_applies() -> None:
    files = declared()
    for environment in ENVIRONMENTS:
        below = f"k8s/envs/{environment.name}/"
        in_git = [found for path in files if path.startswith(below) for found in yaml.safe_load_all(files[path])]

        def name(found: dict[str, dict[str, str]]) -> tuple[str, str]:
            return str(found["kind"]), found["metadata"]["name"]

        assert sorted(in_git, key=name) == sorted(content.objects_of(environment), key=name)
        assert not {"Secret", "Namespace", "ConfigMap"} & {found["kind"] for found in in_git}


def test_comments_are_in_git() -> None:
    lines = declared()["k8s/envs/prod/middleware/postgres/manifests/cluster.yaml"].splitlines()
    for field in ("  instances: 1", "  storage:"):
        assert lines[lines.index(field) - 1].startswith("  # "), field


def test_root_declares_every_other_application() -> None:
    files = declared()
    root = application(repository.ROOT_FILE)
    beside = [path for path in files if path.startswith(f"{root['spec']['source']['path']}/")]
    names = [application(path)["metadata"]["name"] for path in beside]
    assert [root["metadata"]["name"], *sorted(map(str, names))] == [
        repository.ROOT,
        *sorted(repository.applications()[1:]),
    ]
    assert repository.ROOT_FILE not in beside, "the root would own itself"
    for path in beside:
        place = application(path)["spec"]["source"]["path"]
        assert any(file.startswith(f"{place}/") for file in files), f"{path} leads nowhere"


def test_every_application_heals_and_prunes_and_cascades_nothing() -> None:
    for path in [repository.ROOT_FILE, *(path for path in declared() if path.startswith(repository.APPLICATIONS))]:
        found = application(path)
        assert found["spec"]["syncPolicy"] == {"automated": {"prune": True, "selfHeal": True}}
        assert found["spec"]["source"]["repoURL"] == URL
        assert "finalizers" not in found["metadata"]


def test_git_may_declare_enabled_of_all_but_the_root() -> None:
    automated = application(f"{repository.APPLICATIONS}/dev-apps.yaml", enabled=True)["spec"]["syncPolicy"]
    assert automated == {"automated": {"prune": True, "selfHeal": True, "enabled": True}}
    root = application(repository.ROOT_FILE, enabled=True)["spec"]["syncPolicy"]
    assert root == {"automated": {"prune": True, "selfHeal": True}}


def test_repository_is_what_was_declared(where: State) -> None:
    repository.make(where, declares_enabled=False)
    wanted = repository.files(repository.url(where), declares_enabled=False)
    assert set(git(where.repository, "ls-tree", "-r", "--name-only", "main").split()) == set(wanted)
    for path, text in wanted.items():
        assert (where.repository_clone / path).read_text() == text
    assert git(where.repository_clone, "status", "--short") == ""
    assert git(where.repository_clone, "rev-parse", "HEAD").strip() == repository.head(where)


def test_clone_can_commit_and_push_whatever_the_users_settings(
    where: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text("[commit]\n\tgpgsign = true\n[init]\n\tdefaultBranch = trunk\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    repository.make(where, declares_enabled=False)
    before = repository.head(where)
    git(where.repository_clone, "rm", "--quiet", repository.ROOT_FILE)
    git(where.repository_clone, "commit", "--quiet", "-m", "change")
    git(where.repository_clone, "push", "--quiet")
    assert repository.head(where) != before


def test_repository_is_made_as_new(where: State) -> None:
    repository.make(where, declares_enabled=False)
    (where.repository_clone / repository.ROOT_FILE).write_text("changed")
    git(where.repository_clone, "commit", "--quiet", "--all", "-m", "change")
    git(where.repository_clone, "push", "--quiet")
    repository.make(where, declares_enabled=True)
    assert git(where.repository, "rev-list", "--count", "main").strip() == "1"
    assert "enabled: true" in (where.repository_clone / repository.APPLICATIONS / "dev-apps.yaml").read_text()
