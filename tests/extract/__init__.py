"""Tests of ``dr.extract``."""
