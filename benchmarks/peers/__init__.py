"""The other libraries: their environment, their training, and the processes that run them."""
