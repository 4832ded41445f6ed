"""Small exports without TFX, for benchmarks and tests."""
