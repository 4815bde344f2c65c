"""A checkout of Git, with real repositories: what is one, and what is read there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dr.core.errors import AccessError, RequestError, StepFailedError
from dr.gitops.checkout import Checkout
from dr.gitops.manifests import ManifestFile
from tests.support.repositories import commit_at, fails, git

ROOT = Path(__file__).resolve().parents[2]


def test_a_subfolder_of_a_working_tree_is_one(clone: Path) -> None:
    assert Checkout(clone / "db").root == clone


@pytest.mark.parametrize("name", ["nowhere", "home", "platform.git", "work/other.yaml"])
def test_what_is_no_working_tree_is_refused(remote: Path, name: str) -> None:
    with fails(RequestError, "checkout-missing"):
        Checkout(remote.parent / name)


def test_a_repository_that_git_does_not_trust_is_refused_with_its_words(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(RequestError, match="dubious ownership"):
        Checkout(clone)


def test_without_git_it_says_so_before_and_after_it_was_there(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a machine without git, and one from which it went
    code = (
        "from pathlib import Path; from dr.gitops.checkout import Checkout\n"
        "from dr.core.errors import StepFailedError\n"
        "try: Checkout(Path('.'))\nexcept StepFailedError as error: print(error.code)"
    )
    without = {**os.environ, "PATH": "/nowhere"}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=without, capture_output=True, text=True, check=True
    )
    checkout = Checkout(clone)
    monkeypatch.setenv("PATH", "/nowhere")
    # THEN both are told by the same code
    assert ended.stdout == "git-missing\n"
    with fails(StepFailedError, "git-missing"):
        checkout.read("db", "main")


def test_the_module_does_not_import_gitpython_by_itself() -> None:
    code = "import sys, dr.gitops.checkout; sys.exit('git' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_it_is_of_its_remotes_and_their_credentials_are_not_shown(clone: Path, remote: Path) -> None:
    git(clone, "remote", "add", "hub", "https://me:secret@git.test/org/x.git")
    git(clone, "config", "remote.empty.fetch", "x")
    checkout = Checkout(clone)
    assert checkout.remotes == (str(remote), "https://git.test/org/x.git")
    assert checkout.is_of("git@git.test:org/x")
    assert checkout.is_of(f"file://{remote}")
    assert not checkout.is_of("https://git.test/org/y")


def test_it_is_of_what_instead_of_stands_for_too(clone: Path) -> None:
    git(clone, "config", "url.https://mirror.test/.insteadOf", "hub:")
    git(clone, "remote", "add", "hub", "hub:org/x")
    assert Checkout(clone).is_of("https://mirror.test/org/x.git")
    assert Checkout(clone).is_of("hub:org/x")


def test_dirty_are_changed_staged_and_deleted_files_and_unknown_manifests(clone: Path) -> None:
    (clone / "db" / "b.yaml").write_text("changed")
    (clone / "db" / "staged.txt").write_text("new")
    git(clone, "add", "db/staged.txt")
    (clone / "db" / "inner" / "a.yml").unlink()
    for name in ("db/inner/new one.yml", "db/new.txt", "other/new.yaml"):
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_text("new")
    checkout = Checkout(clone)
    below = ("db/b.yaml", "db/inner/a.yml", "db/inner/new one.yml", "db/staged.txt")
    assert checkout.dirty("db") == checkout.dirty("./db/") == below
    assert checkout.dirty("") == (*below, "other/new.yaml")
    assert checkout.dirty("db/inner") == ("db/inner/a.yml", "db/inner/new one.yml")


def test_a_clean_checkout_is_not_dirty(clone: Path) -> None:
    assert Checkout(clone).dirty("") == ()


# Revisions


def test_a_revision_that_is_here_is_not_fetched(clone: Path, remote: Path) -> None:
    here = git(clone, "rev-parse", "HEAD")
    remote.rename(remote.with_name("gone.git"))
    checkout = Checkout(clone)
    assert {checkout.commit_of(revision) for revision in ("main", here, here[:10], "HEAD", "origin/main")} == {here}


def test_a_revision_that_is_not_here_is_fetched(clone: Path, remote: Path) -> None:
    on_main, on_branch = commit_at(remote, "one.yaml"), commit_at(remote, "two.yaml", branch="feature")
    git(remote, "tag", "v1", on_main)
    checkout = Checkout(clone)
    assert checkout.commit_of(on_main) == on_main
    assert checkout.commit_of("feature") == on_branch
    assert checkout.commit_of("v1") == on_main
    assert git(clone, "branch", "--format=%(refname:short)") == "main"


def test_a_commit_on_no_branch_is_fetched_by_its_id(clone: Path, remote: Path) -> None:
    lost = commit_at(remote, "one.yaml", branch="short-lived")
    git(remote, "branch", "-D", "short-lived")
    git(remote, "config", "uploadpack.allowAnySHA1InWant", "true")
    assert Checkout(clone).commit_of(lost) == lost


@pytest.mark.parametrize("revision", ["nowhere", "0" * 40, "--all", "", "a b"])
def test_a_revision_that_nobody_has_is_none(clone: Path, revision: str) -> None:
    assert Checkout(clone).commit_of(revision) is None


def test_without_a_remote_there_is_nothing_to_fetch(clone: Path) -> None:
    git(clone, "remote", "remove", "origin")
    assert Checkout(clone).commit_of("nowhere") is None


def test_a_remote_that_does_not_answer_is_told_without_its_credentials(clone: Path) -> None:
    git(clone, "remote", "set-url", "origin", "https://me:secret@127.0.0.1:1/x")
    with fails(AccessError, "git-fetch-failed") as raised:
        Checkout(clone).commit_of("nowhere")
    assert "127.0.0.1" in raised.value.cause
    assert "secret" not in raised.value.cause


# Reading


def test_manifests_are_read_from_the_revision_and_not_from_the_working_tree(clone: Path) -> None:
    (clone / "db" / "b.yaml").write_text("changed")
    (clone / "db" / "new.yaml").write_text("new")
    files = (ManifestFile(path="db/b.yaml", text="b: 1\r\n"), ManifestFile(path="db/inner/a.yml", text="a: \u00fc\n"))
    checkout = Checkout(clone)
    assert checkout.read("db", "main") == checkout.read("/db/", "HEAD") == checkout.read("./db", "main") == files
    assert checkout.read("db/inner", "main") == checkout.read("db/inner/a.yml", "main") == files[1:]
    assert [file.path for file in checkout.read("", "main")] == ["db/b.yaml", "db/inner/a.yml", "other.yaml"]


def test_a_folder_that_is_not_there_has_no_manifests(clone: Path) -> None:
    assert Checkout(clone).read("nowhere", "main") == ()


def test_a_revision_that_is_unknown_cannot_be_read(clone: Path) -> None:
    with fails(RequestError, "revision-unknown"):
        Checkout(clone).read("db", "nowhere")
