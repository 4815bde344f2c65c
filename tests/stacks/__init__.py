"""Tests of ``dr.stacks``."""
