"""The pipeline: its configuration, the DAG, the data it reads and the `din` command."""
