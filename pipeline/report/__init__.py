"""The HTML report of a run and the comparison of two runs: what is read for them, and the pages that show it."""
