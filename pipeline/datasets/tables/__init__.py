"""Reads tables in CSV, JSON lines and Parquet as streams of raw columns, for all sources of an import."""
