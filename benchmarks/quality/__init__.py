"""`din bench quality` on one data set: compares DIN with base models and with variants of itself."""
