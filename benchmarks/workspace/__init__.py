"""Measures what runs leave in a workspace."""
