"""Tests of ``dr.core``."""
