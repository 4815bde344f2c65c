"""A branch in a checkout of Git, with real repositories: what it holds, and what it leaves alone."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from dr.core.errors import RequestError, StepFailedError
from dr.gitops import checkout as module
from dr.gitops.checkout import Checkout
from dr.gitops.manifests import ManifestFile
from tests.support.repositories import commit_at, fails, git
from tests.support.waiting import HANG_SECONDS, wait_for


def _branch(clone: Path, *files: ManifestFile, name: str = "dr/finalize", base: str = "main") -> str:
    return Checkout(clone).branch(name, base=base, files=files, message="Recovered: \u00fc\n\nWhy.\n")


def nobody_writes(fifo: int) -> bool:
    """Whether nobody has this FIFO open, whose other end is ``fifo``."""
    try:
        return os.read(fifo, 1) == b""
    except BlockingIOError:
        return False


B = ManifestFile(path="db/b.yaml", text="b: 2\r\n")


def test_a_branch_has_the_new_files_and_leaves_everything_else_alone(clone: Path) -> None:
    # GIVEN a checkout in the middle of something else
    git(clone, "checkout", "-qb", "mine")
    (clone / "other.yaml").write_text("staged")
    git(clone, "add", "other.yaml")
    (clone / "db" / "b.yaml").write_text("unsaved")
    before = (clone / ".git" / "index").read_bytes(), git(clone, "status", "--porcelain"), git(clone, "reflog")
    # WHEN a branch is made
    inner = ManifestFile(path="db/inner/a.yml", text="a: \u00e4\n")
    new = ManifestFile(path="db/deeper/n\u00fc.yaml", text="new: \udcff\n")
    commit = _branch(clone, B, inner, new)
    # THEN it holds the files to the byte, with their modes, and what else there was
    assert git(clone, "rev-parse", "dr/finalize") == commit
    assert git(clone, "rev-parse", f"{commit}^") == git(clone, "rev-parse", "main")
    changed = git(clone, "-c", "core.quotePath=false", "diff", "--raw", "--abbrev=4", "main", commit).splitlines()
    assert [(line.split()[1], line.split("\t")[1]) for line in changed] == [
        ("100644", "db/b.yaml"), ("100644", "db/deeper/n\u00fc.yaml"), ("100755", "db/inner/a.yml"),
    ]  # fmt: skip
    shown = subprocess.run(["git", "show", f"{commit}:db/deeper/n\u00fc.yaml"], cwd=clone, capture_output=True).stdout
    assert shown == b"new: \xff\n"
    assert Checkout(clone).read("db", commit) == (B, new, inner)
    # THEN by the user, and the user's own things are as they were
    assert git(clone, "log", "-1", "--format=%an <%ae>|%cn|%B", commit) == (
        "Ada Operator <ada@shop.test>|Ada Operator|Recovered: \u00fc\n\nWhy."
    )
    after = (clone / ".git" / "index").read_bytes(), git(clone, "status", "--porcelain"), git(clone, "reflog")
    assert after == before
    assert git(clone, "symbolic-ref", "HEAD") == "refs/heads/mine"
    assert (clone / "db" / "b.yaml").read_text() == "unsaved"


def test_conversions_of_line_ends_do_not_touch_the_content(clone: Path) -> None:
    git(clone, "config", "core.autocrlf", "input")
    commit = _branch(clone, B)
    assert Checkout(clone).read("db/b.yaml", commit) == (B,)


def test_the_same_branch_again_is_left_as_it_is_even_when_its_base_has_moved_on(clone: Path, remote: Path) -> None:
    commit = _branch(clone, B)
    commit_at(remote, "one.yaml")
    git(clone, "fetch", "-q")
    assert _branch(clone, B) == commit
    assert _branch(clone, B, base="origin/main") == commit


def test_a_branch_with_another_content_is_refused_and_stays(clone: Path) -> None:
    commit = _branch(clone, B)
    other = ManifestFile(path="db/b.yaml", text="b: 3\n")
    for files in ((other,), (B, ManifestFile(path="new.yaml", text="")), ()):
        with fails(RequestError, "branch-exists") as raised:
            _branch(clone, *files)
        assert "--branch" in raised.value.remedy
    assert git(clone, "rev-parse", "dr/finalize") == commit


def test_a_branch_that_went_on_or_is_on_something_else_is_another(clone: Path) -> None:
    git(clone, "checkout", "-qb", "aside")
    git(clone, "commit", "-q", "--allow-empty", "-m", "aside")
    _branch(clone, B, base="aside", name="one")
    git(clone, "branch", "two", _branch(clone, B, name="three"))
    git(clone, "checkout", "-q", "two")
    git(clone, "commit", "-q", "--allow-empty", "-m", "went on")
    for name in ("one", "two", "main"):
        with fails(RequestError, "branch-exists"):
            _branch(clone, B, name=name)


def test_a_branch_whose_name_is_anothers_folder_is_refused(clone: Path) -> None:
    with fails(RequestError, "branch-exists"):
        _branch(clone, B, name="main/x")


@pytest.mark.parametrize("name", ["", "-x", "a..b", "a b", "x.lock", "@{-1}"])
def test_an_impossible_name_is_refused(clone: Path, name: str) -> None:
    with fails(RequestError, "branch-name-impossible"):
        _branch(clone, B, name=name)


def test_a_base_that_is_unknown_is_refused(clone: Path) -> None:
    with fails(RequestError, "revision-unknown"):
        _branch(clone, B, base="nowhere")


def test_a_user_whom_git_does_not_know_is_asked_to_say_who_they_are(clone: Path, own_home: Path) -> None:
    (own_home / ".gitconfig").unlink()
    with fails(RequestError, "git-identity-missing") as raised:
        _branch(clone, B)
    assert "user.email" in raised.value.remedy


def test_the_branch_comes_into_being_last(clone: Path) -> None:
    # GIVEN a repository that refuses every new branch
    before = git(clone, "for-each-ref"), (clone / ".git" / "index").read_bytes()
    hook = clone / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch asked\nexit 1\n")
    hook.chmod(0o755)
    # WHEN one is made
    with fails(StepFailedError, "git-failed"):
        _branch(clone, B)
    # THEN it got as far as that, nothing is left, and it can be made afterwards
    assert [*clone.rglob("asked")]
    assert (git(clone, "for-each-ref"), (clone / ".git" / "index").read_bytes()) == before
    hook.unlink()
    assert _branch(clone, B)


def test_a_repository_that_cannot_be_written_to_is_told(clone: Path) -> None:
    (clone / ".git" / "objects" / git(clone, "rev-parse", "main^{tree}")[:2]).rename(clone / "away")
    with fails(StepFailedError, "git-failed"):
        _branch(clone, B)


# The push


def test_a_branch_is_pushed_to_origin_or_to_the_remote_that_is_meant(clone: Path, remote: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "another.git")
    git(clone, "remote", "add", "another", f"file://{tmp_path}/another.git")
    commit = _branch(clone, B)
    checkout = Checkout(clone)
    for _ in range(2):
        assert checkout.push("dr/finalize", remote_of=None) == str(remote)
    assert git(tmp_path / "another.git", "for-each-ref") == ""
    assert checkout.push("dr/finalize", remote_of=f"{tmp_path}/another") == f"file://{tmp_path}/another.git"
    for bare in (remote, tmp_path / "another.git"):
        assert git(bare, "rev-parse", "dr/finalize") == commit


def test_a_push_that_is_refused_is_told_in_the_servers_words(clone: Path, remote: Path) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'branches are protected here' >&2\nexit 1\n")
    hook.chmod(0o755)
    _branch(clone, B)
    with pytest.raises(StepFailedError, match="branches are protected here") as raised:
        Checkout(clone).push("dr/finalize", remote_of=None)
    assert raised.value.code == "git-push-failed"


@pytest.mark.parametrize("remote_of", [None, "https://me:secret@git.test/org/x"])
def test_a_push_without_such_a_remote_is_refused(clone: Path, remote_of: str | None) -> None:
    if remote_of is None:
        git(clone, "remote", "remove", "origin")
    with fails(StepFailedError, "git-push-failed") as raised:
        Checkout(clone).push("main", remote_of=remote_of)
    assert "secret" not in raised.value.cause


def test_a_push_neither_asks_nor_shows_a_password(clone: Path) -> None:
    git(clone, "remote", "set-url", "origin", "https://me:secret@127.0.0.1:1/x")
    with fails(StepFailedError, "git-push-failed") as raised:
        Checkout(clone).push("main", remote_of=None)
    assert "secret" not in f"{raised.value.cause} {raised.value.remedy}"


def test_a_push_that_hangs_is_ended(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN an SSH that never answers, and holds a FIFO open
    ssh, held = tmp_path / "ssh", tmp_path / "held"
    os.mkfifo(held)
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    ssh.write_text(f"#!/bin/sh\nexec sleep 3600 3>'{held}'\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    run = Checkout._git

    def limited(self: Checkout, *arguments: str, more: Mapping[str, str] | None = None) -> str:
        monkeypatch.setattr(module, "_SECONDS", 1 if arguments[0] == "push" else HANG_SECONDS)
        return run(self, *arguments, more=more)

    monkeypatch.setattr(Checkout, "_git", limited)
    git(clone, "remote", "set-url", "origin", "git@git.test:org/x")
    # WHEN pushing
    with fails(StepFailedError, "git-push-failed") as raised:
        Checkout(clone).push("main", remote_of=None)
    # THEN it ends at the limit, and so does the SSH
    assert "Timeout" in raised.value.cause
    try:
        wait_for(lambda: nobody_writes(reader))
    finally:
        os.close(reader)
