"""Tests of ``dr.status``."""
