"""Tests of ``dr.migrate``."""
