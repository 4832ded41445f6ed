"""Data sets of impressions in one TFRecord layout: synthetic ones, and imports of real data."""
