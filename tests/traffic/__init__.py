"""Tests of ``dr.traffic``."""
