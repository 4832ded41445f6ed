"""A Deep Interest Network in Keras 3: features, layers, model, training and export. TFX is imported by its entry points alone."""
