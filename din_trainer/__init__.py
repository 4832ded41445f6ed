"""A Deep Interest Network in Keras 3: features, layers, models, training and export. Only trainer.py imports TFX."""
