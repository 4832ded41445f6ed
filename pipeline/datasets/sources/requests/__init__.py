"""Impressions from logged requests and labels that came later."""
