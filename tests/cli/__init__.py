"""Tests of ``dr.cli``."""
