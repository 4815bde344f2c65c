"""Tests of ``dr.kube``."""
