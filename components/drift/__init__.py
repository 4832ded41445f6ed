"""What drift is: how far features are from each other, and the sentences about it."""
