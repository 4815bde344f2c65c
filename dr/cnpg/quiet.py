"""Keeping what acts on the outside quiet in a copy of a database: by parameters, and back again. Pure.

A subscription goes on in every copy that is promoted, and takes from the publisher's slot what the live database needs;
the workers of extensions run their jobs in it. Both begin with the first second, so the parameters are part of the
Cluster as it is created.
"""

import json
from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any

_QUIETED = "postgres-dr/quieted"
"""On a Cluster that is kept quiet: the parameters that were set for it, each with its value before, null for none."""
NO_SUBSCRIPTIONS = {"max_logical_replication_workers": "0"}
"""Apply workers are of this pool; 0 is none (PostgreSQL manual, "Configuration Settings" of logical replication)."""
BY_LIBRARY: Mapping[str, Mapping[str, str]] = {
    "pg_cron": {"cron.launch_active_jobs": "off"},
    "timescaledb": {"timescaledb.max_background_workers": "0"},
}
"""What keeps the workers of a preloaded library from their jobs: they delete old rows, drop partitions, call other
servers (README of pg_cron, "Extension settings"; timescaledb starts none, by its ``loader.c``, ``bgw_launcher.c``)."""


def libraries_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The preloaded libraries that have jobs to be kept from, in a Cluster's specification."""
    loaded = (spec.get("postgresql") or {}).get("shared_preload_libraries") or ()
    return tuple(library for library in loaded if library in BY_LIBRARY)


def quieted(manifest: Mapping[str, Any], *, subscriptions: bool, libraries: Collection[str]) -> dict[str, Any]:
    """The Cluster's ``manifest`` with what is named kept quiet; as it is where nothing is."""
    changes: dict[str, str] = dict(NO_SUBSCRIPTIONS) if subscriptions else {}
    for library in libraries:
        changes |= BY_LIBRARY[library]
    changed = deepcopy(dict(manifest))
    if changes:
        postgresql = changed["spec"].setdefault("postgresql", {})
        before = postgresql.get("parameters") or {}
        postgresql["parameters"] = {**before, **changes}
        known = {name: before.get(name) for name in changes}
        changed["metadata"].setdefault("annotations", {})[_QUIETED] = json.dumps(known, sort_keys=True)
    return changed


def is_quiet(manifest: Mapping[str, Any]) -> bool:
    """Whether the Cluster is kept quiet."""
    return _QUIETED in (manifest["metadata"].get("annotations") or {})


def awake(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The Cluster's ``manifest`` with the parameters as they were before; as it is where it is not kept quiet."""
    changed = deepcopy(dict(manifest))
    if is_quiet(manifest):
        parameters = changed["spec"]["postgresql"]["parameters"]
        for name, before in json.loads(changed["metadata"]["annotations"].pop(_QUIETED)).items():
            if before is None:
                parameters.pop(name, None)
            else:
                parameters[name] = before
    return changed
