"""`din import clicklog SOURCE --guess`: a mapping for a table, guessed from its first rows, with the reasons as comments."""
