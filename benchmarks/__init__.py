"""Side-by-side measurements; each prints a table. `make test` does not run them."""
