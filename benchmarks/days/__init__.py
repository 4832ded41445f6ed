"""`din bench days`: training day after day, warm and cold."""
