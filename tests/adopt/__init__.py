"""Tests of ``dr.adopt``."""
