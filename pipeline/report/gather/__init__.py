"""Reads what a report shows from the artifacts of a run: data statistics, training curves, attention weights."""
