"""What to recover from on a rebuilt platform: the archive that survived, and a specification for the new Cluster.

Where the Cluster that Git declares archived to that very folder before, it is the source by its name. Where the newest
archive is another generation's, the same specification stands for that one, with its serverName.
"""

from copy import deepcopy
from typing import Any

import yaml

from dr.archive.survivors import Survivor
from dr.cnpg.cluster import BARMAN_PLUGIN, ClusterSnapshot
from dr.cnpg.clusters import list_clusters
from dr.config.names import free_name
from dr.rebuild.kept_files import keep_file
from dr.recovery.run import Wanted
from dr.run.session import Session


def wanted_from(session: Session, declared: ClusterSnapshot, survivor: Survivor) -> Wanted:
    """The recovery to the end of ``survivor``'s WAL. ``declared`` is the Cluster that Git has brought up.

    Its WAL is not sealed: it has nothing to do with what is recovered. The rebuild was agreed to with the end that the
    archive has.
    """
    if declared.server_name == survivor.server_name:
        return Wanted(target=None, source=declared.name, go_on=True, seal=False, insists=True)
    taken = {cluster.name for cluster in list_clusters(session.api, declared.namespace)}
    name = free_name(survivor.server_name, taken)
    environment = session.environment.name
    text = yaml.safe_dump(standing_for(declared, name=name, server_name=survivor.server_name))
    manifest = keep_file(f"{environment}-{name}.yaml", text)
    return Wanted(target=None, source=name, go_on=True, seal=False, source_manifest=manifest, insists=True)


def standing_for(declared: ClusterSnapshot, *, name: str, server_name: str) -> dict[str, Any]:
    """A manifest like ``declared``'s, of the Cluster ``name`` that archived to ``server_name``."""
    spec = deepcopy(dict(declared.spec))
    if declared.image and "imageCatalogRef" not in spec:
        spec["imageName"] = declared.image
    spec["bootstrap"] = {
        "initdb": {"database": declared.database, "owner": declared.owner, "secret": {"name": declared.app_secret}}
    }
    store = (spec.get("backup") or {}).get("barmanObjectStore")
    if store is not None:
        store["serverName"] = server_name
    for plugin in spec.get("plugins") or ():
        if plugin["name"] == BARMAN_PLUGIN:
            plugin.setdefault("parameters", {})["serverName"] = server_name
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": name, "namespace": declared.namespace},
        "spec": spec,
    }
