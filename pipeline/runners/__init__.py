"""How a DAG is executed. Nothing here knows DIN."""
