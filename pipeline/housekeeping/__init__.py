"""What keeps a workspace small and sound: the cleaning of old runs and leftovers, and the checks of `din doctor`."""
