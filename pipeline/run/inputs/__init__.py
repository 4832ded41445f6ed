"""What the nodes of a run read: the schema, the baseline, earlier data and the model to start from."""
