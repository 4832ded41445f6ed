"""How the DAG is executed: the runners, and the options of Apache Beam. Nothing here depends on the model."""
