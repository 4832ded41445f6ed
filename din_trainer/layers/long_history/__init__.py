"""Long histories: which few of thousands of events the attention unit reads for a candidate."""
