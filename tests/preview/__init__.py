"""Tests of ``dr.preview``."""
