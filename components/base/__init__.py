"""What the other folders share: errors, writing of files, TFRecords, cache fingerprints, and the pins of the libraries."""
