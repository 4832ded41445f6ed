"""The fuzz: hostile requests against an exported model."""
