"""Disaster recovery for PostgreSQL on CloudNativePG and GKE.

A package for each feature, over those that all features share. pyproject.toml has their order, which ``lint-imports``
checks; docs/architecture.md says what is where.
"""

__version__ = "0.1.0"
