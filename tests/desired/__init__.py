"""Tests of ``dr.desired``."""
