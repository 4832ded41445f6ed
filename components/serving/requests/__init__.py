"""Logged requests, read as impressions."""
