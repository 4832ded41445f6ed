"""The one exception for what a user can mend."""


class InputError(Exception):
    """Bad configuration or data. The message is one sentence: what, where, what to do. `din` prints it and exits 2."""
