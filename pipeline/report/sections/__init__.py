"""Prepares the tables of the report's sections for the templates."""
