"""Tests of ``dr.infra``."""
