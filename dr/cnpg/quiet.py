"""Keeping what acts on the outside quiet in a copy of a database: by parameters, and back again. Pure.

A subscription runs in every copy that is promoted, and takes from the publisher's slot what the live database needs;
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
    before = (changed["spec"].get("postgresql") or {}).get("parameters") or {}
    changes = {name: value for name, value in changes.items() if before.get(name) != value}
    if changes:
        changed["spec"]["postgresql"] = {
            **(changed["spec"].get("postgresql") or {}),
            "parameters": {**before, **changes},
        }
        known = {name: before.get(name) for name in changes}
        changed["metadata"].setdefault("annotations", {})[_QUIETED] = json.dumps(known, sort_keys=True)
    return changed


def quiet_parameters(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """The parameters that keep the Cluster with these ``annotations`` quiet; none where it is not."""
    return tuple(json.loads(annotations.get(_QUIETED, "{}")))


def ask_quiet(parameters: Collection[str]) -> str:
    """The statement whose answers are those of the ``parameters`` that a server still has set to be quiet."""
    values = {name: value for known in (NO_SUBSCRIPTIONS, *BY_LIBRARY.values()) for name, value in known.items()}
    wanted = ", ".join(f"('{name}', '{values[name]}')" for name in parameters)
    return f"SELECT name FROM pg_settings WHERE (name, setting) IN ({wanted})"  # noqa: S608 - all of it is ours


def awake(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The Cluster's ``manifest`` with the parameters as they were before; as it is where it is not kept quiet."""
    changed = deepcopy(dict(manifest))
    if quiet_parameters(manifest["metadata"].get("annotations") or {}):
        parameters = changed["spec"]["postgresql"]["parameters"]
        for name, before in json.loads(changed["metadata"]["annotations"].pop(_QUIETED)).items():
            if before is None:
                parameters.pop(name, None)
            else:
                parameters[name] = before
    return changed
