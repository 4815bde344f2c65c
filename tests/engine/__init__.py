"""Tests of ``dr.engine``."""
