"""A training that begins with the weights of an earlier model."""
