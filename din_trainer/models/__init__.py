"""DIN and the base models of the paper, with what they share."""
