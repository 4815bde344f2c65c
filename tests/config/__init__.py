"""Tests of ``dr.config``."""
