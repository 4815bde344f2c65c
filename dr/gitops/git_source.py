"""Where in Git an environment is declared: which source of Argo CD's, and which commit of a checkout."""

from collections.abc import Collection

from dr.config.environment import GitPlace
from dr.core.errors import Problem, RefusedError
from dr.gitops.argocd import GitSource, Manager
from dr.gitops.checkout import Checkout


def source_of(place: GitPlace, managing: Collection[Manager]) -> GitSource | None:
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
