"""Recovering, and finding out where to."""
