"""The layers of the paper: attention unit (equation 3), embedding table (equation 7), Dice (equation 9), MLP."""
