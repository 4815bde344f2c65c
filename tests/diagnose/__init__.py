"""Tests of ``dr.diagnose``."""
