"""Tests of ``dr.window``."""
