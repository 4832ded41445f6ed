"""The configuration: its keys, how it is read, and the settings of the DAG's nodes that follow from it."""
