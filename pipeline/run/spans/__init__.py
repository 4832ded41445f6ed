"""Which spans a run reads, which have changed, and which wait for a run."""
