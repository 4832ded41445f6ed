"""The source for any click log: a mapping explains the columns of its tables."""
