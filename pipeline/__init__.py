"""What runs, and how a user starts it: the DAG, its configuration, its data, its report, serving, and the `din` command."""
