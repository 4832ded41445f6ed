"""Sources of impressions, each turned into the one TFRecord layout (see `layout`)."""
