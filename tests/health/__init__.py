"""Tests of ``dr.health``."""
