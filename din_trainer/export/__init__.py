"""The SavedModel: its signatures, and how they read requests."""
