"""Tests of ``dr.finalize``."""
