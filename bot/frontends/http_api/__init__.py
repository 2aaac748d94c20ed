"""Viva over HTTP."""
