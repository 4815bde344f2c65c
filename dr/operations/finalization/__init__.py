"""Ending an incident, and what else is changed in Git."""
