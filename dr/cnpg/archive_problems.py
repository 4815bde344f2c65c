"""What keeps a Cluster's archive from being used: there is none, or what the Barman Cloud plugin needs is not there.

Pure.
"""

from collections.abc import Iterator

from dr.cnpg.cluster import BARMAN_PLUGIN, ClusterSnapshot
from dr.core.errors import Problem


def problems_of_archive(source: ClusterSnapshot, *, plugin_fault: str = "") -> Iterator[Problem]:
    """Why what ``source`` archives cannot be recovered; without a problem it has a ``store``.

    CloudNativePG would wait for a missing ObjectStore or plugin without a word. ``plugin_fault`` is why the operator
    does not reach the plugin, empty when nothing is known against it.
    """
    if source.plugin is None and source.store is None:
        what = f"archives by the plugin {source.other_archiver}" if source.other_archiver else "has no backup section"
        yield Problem(
            code="no-object-store",
            cause=f"the Cluster {source.name} {what}; recovery is from an in-tree barmanObjectStore, or by the plugin "
            f"{BARMAN_PLUGIN}",
            remedy="recover by hand as CloudNativePG's documentation on recovery says",
        )
    if source.plugin is None:
        return
    if plugin_fault:
        yield Problem(
            code="plugin-unavailable",
            cause=f"{source.name} archives by the plugin {BARMAN_PLUGIN}, and {plugin_fault}",
            remedy="install it, or bring its Deployment up, beside CloudNativePG's operator",
        )
    if source.store is None:
        name = source.plugin.object_store or "(barmanObjectName is not given)"
        yield Problem(
            code="object-store-missing",
            cause=f"there is no ObjectStore {source.namespace}/{name}, to which {source.name} archives",
            remedy="create it as it was (Git?): the recovered cluster is restored from it, and archives to it",
        )
