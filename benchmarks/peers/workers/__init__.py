"""Implementations of DIN, ours and the peers', each measured in a process of its own by the same harness."""
