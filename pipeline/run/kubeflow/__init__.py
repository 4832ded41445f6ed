"""`din compile`, and what the containers of a compiled pipeline do: the steps of `din run`, one container each."""
