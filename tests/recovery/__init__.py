"""Tests of ``dr.recovery``."""
