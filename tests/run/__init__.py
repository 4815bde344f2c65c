"""Tests of ``dr.run``."""
