"""The metrics: their list, and how each is computed with NumPy."""
