"""Tests of ``dr.drill``."""
