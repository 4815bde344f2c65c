"""Tests of ``dr.archive``."""
