"""The charts of the report, as Plotly figures."""
