"""Benchmarks: they compare quality and speed with other libraries and print tables. `make test` does not run them."""
