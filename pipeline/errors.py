"""The exceptions for what a user can mend. Their message is one sentence: what, where, what to do. `din` prints it and exits 2."""


class InputError(Exception):
    """Bad configuration, or a place that cannot be read or written."""


class DataError(InputError):
    """Bad impressions: nothing is trained on them."""
