"""The report of a run: what goes into it, and the page that shows it."""
