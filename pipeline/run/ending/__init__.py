"""How a run ends: its summary, its report, and what follows it."""
