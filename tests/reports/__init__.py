"""Tests of ``dr.reports``."""
