"""Limits that frontends share with the services, importable without anything else."""

MAX_RESULTS = 50
"""Sections that one search returns at most."""
