"""Batches, the training loop, checkpoints, LazyAdam."""
