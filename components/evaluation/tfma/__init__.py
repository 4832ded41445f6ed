"""What connects the metrics to TensorFlow Model Analysis (TFMA), which runs them in the Evaluator."""
