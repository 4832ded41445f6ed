"""Searches for better settings of the model and its training: the space of a search, its trials, and KerasTuner around them."""
