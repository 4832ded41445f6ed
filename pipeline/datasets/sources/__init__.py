"""Readers of real data, one for each source; all yield the interactions that `interactions` describes."""
