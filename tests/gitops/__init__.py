"""Tests of ``dr.gitops``."""
