"""Tests of ``dr.guard``."""
