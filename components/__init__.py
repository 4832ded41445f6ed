"""The TFX components of the pipeline, one in each file, and in the folders the libraries that they are made of."""
