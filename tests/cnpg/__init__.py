"""Tests of ``dr.cnpg``."""
