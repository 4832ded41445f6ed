"""What the workers of one training send to each other: bytes between processes, and the operations of a graph that use them."""
