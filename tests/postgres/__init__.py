"""Tests of ``dr.postgres``."""
