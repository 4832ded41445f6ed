"""How a model is judged: metrics, slices, confidence intervals and thresholds."""
