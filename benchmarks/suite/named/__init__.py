"""Suites of `din bench quality` that ship with the package."""
