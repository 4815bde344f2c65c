"""Reading a Cluster's manifest from a file, for a Cluster that is gone."""

from pathlib import Path

import yaml

from dr.cnpg.cluster_copy import StandIn, from_manifest
from dr.core.errors import RequestError


def read_manifest(file: str, *, name: str, namespace: str) -> StandIn:
    """The Cluster ``name`` of the manifest in ``file``, which may hold other objects too. Raises RequestError
    ``source-manifest-wrong``.
    """
    try:
        documents = [found for found in yaml.safe_load_all(Path(file).read_text(encoding="utf-8")) if found]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RequestError("source-manifest-wrong", f"{file} cannot be read: {error}", "mend it; it is YAML") from error
    clusters = [found for found in documents if isinstance(found, dict) and found.get("kind") == "Cluster"]
    of_that_name = (found for found in clusters if (found.get("metadata") or {}).get("name") == name)
    return from_manifest(
        next(of_that_name, clusters[0] if clusters else None), name=name, namespace=namespace, where=file
    )
