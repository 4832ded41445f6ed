"""Interactions of a source made into impressions in the one TFRecord layout (see `run`)."""
