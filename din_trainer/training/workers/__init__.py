"""Training by several workers: which rows are whose, the training step that they share, and the parent that starts and watches them."""
