"""`din bench train`, `serve` and `evaluation`, and the memory of imports: measure time and memory."""
