"""Sources of real data, each read as a stream of interactions (see `interactions`)."""
