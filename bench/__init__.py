"""Measurements, as ratios within one run. Not tests: machines are noisy."""
