"""What runs leave in a workspace: their summaries, and the metadata store."""
