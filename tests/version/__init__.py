"""Tests of ``dr.version``."""
