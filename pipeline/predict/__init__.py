"""Scores impressions without training: JSON lines, folders of TFRecords, and the samples that a run shows."""
