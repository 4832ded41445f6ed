"""TFX components of our own, one a file. They know neither DIN nor each other."""
