"""The import: it turns the interactions of a source into impressions in the one TFRecord layout."""
