"""One run of the pipeline: its workspace, the checks before it, its steps, and its summary."""
