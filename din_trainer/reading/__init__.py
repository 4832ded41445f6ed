"""Reads raw impressions as inputs of the model, in the same way for training and in the exported model."""
