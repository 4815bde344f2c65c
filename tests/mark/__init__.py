"""Tests of ``dr.mark``."""
