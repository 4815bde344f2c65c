"""Tests of ``dr.program``."""
