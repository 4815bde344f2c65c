"""Tests of ``dr.rebuild``."""
