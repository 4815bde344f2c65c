"""Tests of ``dr.before_drop``."""
