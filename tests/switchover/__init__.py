"""Tests of ``dr.switchover``."""
