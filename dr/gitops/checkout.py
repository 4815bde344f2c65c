"""A checkout of the platform's Git repository: read at a revision, a commit on a branch of its own, and the push.

An operator may be in the middle of something else there. So their files, their index and their branch
are left alone: everything is read from Git's objects and written as such, and the new branch comes into being last.
"""

import contextlib
import os
import posixpath
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

from dr.config.environment import GitLocation
from dr.core.commands import command_line
from dr.core.errors import AccessError, Problem, RefusedError, RequestError, StepFailedError
from dr.gitops.argocd import GitSource, Manager
from dr.gitops.manifests import ManifestFile

_SECONDS = 120
"""The limit of one command: only those that use the network come near."""
_SUFFIXES = (".yaml", ".yml")
_SYMLINK = 0o120000
_NEW_FILE = 0o100644


class _GitError(Exception):
    """A command of Git failed. Its words, without credentials."""


class Checkout:
    """The working tree that ``path`` is in.

    Raises RequestError ``checkout-missing``, StepFailedError ``git-missing``. Every method raises StepFailedError
    ``git-failed`` when Git fails for a reason of its own.
    """

    root: Path
    remotes: tuple[str, ...]
    """The URLs of the remotes, without credentials."""

    def __init__(self, path: Path) -> None:
        library = _library()
        try:
            with library.Repo(str(path), search_parent_directories=True) as repo:
                # Of a file, GitPython takes the folder.
                folder = repo.working_tree_dir if path.is_dir() and not repo.bare else None
        except (library.InvalidGitRepositoryError, library.NoSuchPathError):
            folder = None
        if folder is None:
            raise _no_checkout(path, "it is not in a working tree of Git")
        self.root = Path(folder)
        self._command = library.Git(folder)
        self._environment: Mapping[str, str] = {}
        try:
            self._environment = self._without_questions()
            # The order of preference: origin, then as Git lists them.
            names = sorted(self._git("remote").split(), key=lambda name: name != "origin")
            self._urls = {name: urls for name in names if (urls := self._urls_of(name))}
        except _GitError as error:
            raise _no_checkout(path, f"Git does not work there: {error}") from error
        self.remotes = tuple(dict.fromkeys(without_credentials(urls[0]) for urls in self._urls.values()))

    def is_of(self, repository: str) -> bool:
        """Whether a remote is ``repository``, however its URL is written."""
        return bool(self._remotes_of(repository))

    def dirty(self, folder: str) -> tuple[str, ...]:
        """The files below ``folder`` that differ from HEAD, staged or not, and YAML files that Git does not know."""
        arguments = ("--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=all")
        with _failing():
            below = [f":(top,literal){_folder(folder)}"] if _folder(folder) != "." else []
            found = self._git("--no-optional-locks", "status", *arguments, "--", *below)
        entries = [(line[:2], line[3:]) for line in found.split("\0") if line]
        return tuple(sorted(path for state, path in entries if state != "??" or path.endswith(_SUFFIXES)))

    def commit_of(self, revision: str) -> str | None:
        """The full id of the commit ``revision``, fetched if it is not here yet; None when no remote has it either.

        A name means what it means in this checkout: a branch of its own first, as far as that has come, and a remote's
        only when there is no such branch. Raises AccessError ``git-fetch-failed``.
        """
        if found := self._local(revision):
            return found
        for name, urls in self._urls.items():
            try:
                self._git("fetch", "--no-auto-maintenance", "--no-recurse-submodules", "--", name)
            except _GitError as error:
                raise AccessError(
                    "git-fetch-failed",
                    f"{revision} is not in {self.root} yet, and cannot be fetched from "
                    f"{without_credentials(urls[0])}: {error}",
                    "fetch it yourself, in this checkout, and repeat the command",
                ) from error
            if found := self._local(revision) or self._fetched(name, revision):
                return found
        return None

    def read(self, folder: str, revision: str) -> tuple[ManifestFile, ...]:
        """The YAML files below ``folder`` at ``revision``, by path. Symbolic links are left out.

        Bytes that are not UTF-8 become lone surrogates, which :meth:`branch` turns back. Raises RequestError
        ``revision-unknown``.
        """
        library, commit = _library(), self._known(revision)
        with library.Repo(str(self.root)) as repo:
            tree = repo.commit(commit).tree
            try:
                inner = tree / _folder(folder) if _folder(folder) != "." else tree
            except KeyError:
                return ()
            blobs = [inner] if inner.type == "blob" else [item for item in inner.traverse() if item.type == "blob"]
            return tuple(
                ManifestFile(
                    path=str(blob.path), text=blob.data_stream.read().decode("utf-8", errors="surrogateescape")
                )
                for blob in sorted(blobs, key=lambda blob: str(blob.path))
                if str(blob.path).endswith(_SUFFIXES) and blob.mode != _SYMLINK
            )

    def branch(self, name: str, *, base: str, files: Sequence[ManifestFile], message: str) -> str:
        """The id of a commit on the new branch ``name``: ``base`` with ``files`` in place of its own.

        A branch that changes ``base``, or what came before it, in just this way is left as it is. The author is who Git
        says the user is; commits are not signed, as a key's passphrase could not be asked for. Raises RequestError
        ``branch-exists``, ``branch-name-impossible``, ``revision-unknown``, ``git-identity-missing``.
        """
        parent = self._known(base)
        reference = f"refs/heads/{name}"
        try:
            self._git("check-ref-format", "--branch", name)
        except _GitError as error:
            raise RequestError(
                "branch-name-impossible", f"{name!r} cannot be a branch's name", "name another with --branch"
            ) from error
        with _failing(), tempfile.TemporaryDirectory() as place:
            blobs = {file.path: self._store(file, Path(place)) for file in files}
            if tip := self._local(reference):
                if self._does(tip, parent, blobs, Path(place)):
                    return tip
                raise _branch_exists(self.root, name, "with another content")
            identified = self._identified()
            tree = self._tree(parent, blobs, Path(place))
            words = Path(place, "message")
            words.write_text(message, encoding="utf-8")
            commit = self._git(*identified, "commit-tree", tree, "-p", parent, "-F", str(words))
        try:
            self._git("update-ref", "-m", "postgres-dr: a new branch", reference, commit, "0" * len(commit))
        except _GitError as error:
            if "exists" in str(error):  # it came in the meantime, or its name is a folder of other branches
                raise _branch_exists(self.root, name, f"or another stands in its way: {error}") from error
            raise _git_failed(error) from error
        return commit

    def push(self, name: str, *, remote_of: str | None) -> str:
        """Push the branch ``name`` to the remote of the repository ``remote_of``, or by default to ``origin``.

        Returns the remote's URL, without credentials. Raises StepFailedError ``git-push-failed``.
        """
        names = self._remotes_of(remote_of) if remote_of else list(self._urls)
        if not names:
            wanted = without_credentials(remote_of) if remote_of else "anything"
            raise _push_failed(self.root, name, f"{self.root} has no remote of {wanted}")
        reference = f"refs/heads/{name}"
        try:
            self._git("push", "--no-follow-tags", "--no-recurse-submodules", "--", names[0], f"{reference}:{reference}")
        except _GitError as error:
            raise _push_failed(self.root, name, str(error)) from error
        return without_credentials(self._urls[names[0]][0])

    def _remotes_of(self, repository: str) -> list[str]:
        wanted = identity(repository, root=str(self.root))
        return [
            name
            for name, urls in self._urls.items()
            if any(identity(url, root=str(self.root)) == wanted for url in urls)
        ]

    def _urls_of(self, remote: str) -> tuple[str, ...]:
        """The URLs as they are written, and as ``insteadOf`` makes them."""
        try:
            written = self._git("config", "--get-all", f"remote.{remote}.url").splitlines()
            return (*written, *self._git("remote", "get-url", "--all", remote).splitlines())
        except _GitError:  # a remote may have no URL
            return ()

    def _local(self, revision: str) -> str | None:
        for written in (revision, *(f"refs/remotes/{remote}/{revision}" for remote in self._urls)):
            try:
                return self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{written}^{{commit}}")
            except _GitError:
                continue
        return None

    def _fetched(self, remote: str, revision: str) -> str | None:
        """A commit on no branch: many servers give it when asked for it by its id."""
        try:
            self._git("fetch", "--no-auto-maintenance", "--no-recurse-submodules", "--", remote, revision)
        except _GitError:
            return None
        return self._local(revision)

    def _known(self, revision: str) -> str:
        if found := self._local(revision):
            return found
        raise RequestError("revision-unknown", f"{self.root} has no revision {revision}", "fetch it, or name another")

    def _store(self, file: ManifestFile, place: Path) -> str:
        """The id of the blob that holds ``file``, byte for byte."""
        content = place / "content"
        content.write_bytes(file.text.encode("utf-8", errors="surrogateescape"))
        return self._git("hash-object", "-w", "--no-filters", "--", str(content))

    def _does(self, tip: str, base: str, blobs: Mapping[str, str], place: Path) -> bool:
        """Whether ``tip`` is one commit, on ``base`` or what came before it, that makes of its files what is wanted."""
        parents = self._git("rev-list", "--parents", "-n", "1", tip).split()[1:]
        if len(parents) != 1 or self._git("merge-base", "--all", parents[0], base) != parents[0]:
            return False
        return self._tree(parents[0], blobs, place) == self._git("rev-parse", f"{tip}^{{tree}}")

    def _tree(self, parent: str, blobs: Mapping[str, str], place: Path) -> str:
        """The id of the tree of ``parent`` with ``blobs``, made in an index of its own."""
        index = {"GIT_INDEX_FILE": str(place / "index")}
        self._git("read-tree", parent, more=index)
        for path, blob in blobs.items():
            entry = self._git("ls-tree", "-z", parent, "--", path).split(maxsplit=1)
            mode = entry[0] if entry else f"{_NEW_FILE:o}"
            self._git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", more=index)
        return self._git("write-tree", more=index)

    def _identified(self) -> tuple[str, ...]:
        """The options with which Git takes nobody it only guesses from the machine's name."""
        strict = ("-c", "user.useConfigOnly=true")
        try:
            for role in ("AUTHOR", "COMMITTER"):
                self._git(*strict, "var", f"GIT_{role}_IDENT")
        except _GitError as error:
            raise RequestError(
                "git-identity-missing",
                f"Git does not know who you are: {error}",
                f"{command_line('git', 'config', '--global', 'user.name', 'NAME')}, and the same with user.email; then "
                "repeat the command",
            ) from error
        return strict

    def _without_questions(self) -> dict[str, str]:
        """What keeps Git and what it starts from asking: nobody may be there to answer."""
        found = {"GIT_TERMINAL_PROMPT": "0", "GCM_INTERACTIVE": "never"}
        configured = self._git("config", "--name-only", "--list").casefold().split()
        if not {"GIT_SSH_COMMAND", "GIT_SSH"} & os.environ.keys() and "core.sshcommand" not in configured:
            found["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes"
        if "GIT_ASKPASS" not in os.environ and "core.askpass" not in configured:
            found["GIT_ASKPASS"] = ""
        return found

    def _git(self, *arguments: str, more: Mapping[str, str] | None = None) -> str:
        """What a command of Git prints. Raises _GitError with what it says when it fails."""
        try:
            status, printed, said = self._command.execute(
                ["git", *arguments],
                with_extended_output=True,
                with_exceptions=False,
                kill_after_timeout=_SECONDS,
                env={**self._environment, **(more or {})},
            )
        except _library().GitCommandNotFound as error:
            raise _git_missing() from error
        if status:
            lines = [line.strip() for line in str(said or printed).splitlines() if not line.startswith("hint:")]
            raise _GitError(without_credentials("; ".join(filter(None, lines))) or f"it ended with {status}")
        return str(printed)


@contextlib.contextmanager
def _failing() -> Iterator[None]:
    """A failure of Git in here is StepFailedError ``git-failed``."""
    try:
        yield
    except _GitError as error:
        raise _git_failed(error) from error


def _library() -> ModuleType:
    """GitPython, imported only when it is needed: that takes a third of a second, and wants a ``git``."""
    try:
        import git
    except ModuleNotFoundError:
        raise
    except ImportError as error:
        raise _git_missing() from error
    return git


def _git_missing() -> StepFailedError:
    return StepFailedError("git-missing", "there is no program git", "install Git, or put it into PATH")


def _no_checkout(path: Path, why: str) -> RequestError:
    return RequestError(
        "checkout-missing", f"{path} is not a checkout: {why}", "name a folder in a clone of the repository"
    )


def _branch_exists(root: Path, name: str, how: str) -> RequestError:
    remedy = f"name another with --branch, or delete it ({command_line('git', '-C', str(root), 'branch', '-D', name)})"
    return RequestError("branch-exists", f"the branch {name} exists already, {how}", remedy)


def _git_failed(error: _GitError) -> StepFailedError:
    return StepFailedError("git-failed", f"Git failed: {error}", "fix that, and repeat the command")


def _push_failed(root: Path, name: str, why: str) -> StepFailedError:
    return StepFailedError(
        "git-push-failed",
        f"the branch {name} cannot be pushed: {why}",
        f"the branch is there: push it yourself ({command_line('git', '-C', str(root), 'push', 'origin', name)})",
    )


def _folder(folder: str) -> str:
    return folder.strip("/").removeprefix("./") or "."


def source_of(place: GitLocation, managing: Collection[Manager]) -> GitSource | None:
    """The Application's source that the manifests come from. Raises RefusedError when Argo CD has another."""
    sources = [source for manager in managing for source in manager.sources]
    for source in sources:
        path = source.path.strip("/")
        if path in {"", "."} or f"{place.manifests}/".startswith(f"{path}/"):
            return source
    if not sources:
        return None
    paths = ", ".join(f"{source.path} of {source.repository}" for source in sources)
    raise RefusedError(
        [
            Problem(
                code="manifests-elsewhere",
                cause=f"git.manifests is {place.manifests}, and Argo CD takes the manifests from {paths}",
                remedy="correct git.manifests in Pulumi.<env>.yaml",
            )
        ]
    )


def revision_of(checkout: Checkout, source: GitSource | None) -> str:
    """The commit that Argo CD follows, or the checkout's own. Raises RefusedError when the checkout cannot have it."""
    wanted = source.revision if source else "HEAD"
    found = checkout.commit_of(wanted)
    if found is None:
        raise RefusedError(
            [
                Problem(
                    code="revision-missing",
                    cause=f"neither {checkout.root} nor its remote has the commit {wanted}, which Argo CD follows",
                    remedy="is it a checkout of the same repository? fetch what is missing",
                )
            ]
        )
    return found


_USERINFO = re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s]+@", re.IGNORECASE)
_SCP = re.compile(r"(?:[^/@\s]+@)?(?P<host>\[[^\]]+\]|[^/:\s]+):(?!//)(?P<path>.*)")
_OWN_PORTS = {"http": 80, "https": 443, "git": 9418}


def without_credentials(text: str) -> str:
    """``text`` without the user and password of any URL in it."""
    return _USERINFO.sub(r"\1", text)


def identity(url: str, *, root: str = "/") -> tuple[str, str]:
    """Host and path: equal for two URLs of one repository. ``root`` is the folder that a relative path is from.

    As Argo CD does (``NormalizeGitURL``), case, a closing ``.git`` and the way of access make no difference; nor does
    the port of SSH, which is never that of HTTP. The path of a local repository keeps its case.
    """
    url = url.strip()
    if "://" in url:
        parts = urlsplit(url)
        if parts.scheme.lower() != "file":
            port = parts.port if parts.scheme.lower() in _OWN_PORTS else None
            own = port is None or port == _OWN_PORTS[parts.scheme.lower()]
            host = (parts.hostname or "").lower()
            return host if own else f"{host}:{port}", _path(unquote(parts.path)).lower()
        url = unquote(parts.path)
    elif found := _SCP.fullmatch(url):
        return found["host"].strip("[]").lower(), _path(found["path"]).lower()
    return "", _path(posixpath.normpath(posixpath.join(root, url)))


def _path(path: str) -> str:
    return path.strip("/").removesuffix(".git").rstrip("/")
