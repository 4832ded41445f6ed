"""The exceptions for what a user can correct. Their message is one sentence: what, where, what to do. `din` prints it and exits 2."""

import errno
from collections.abc import Iterator

_PLACES = {
    errno.ENOSPC: "the disk is full: free some space, or name a place on another disk",
    errno.EDQUOT: "the disk quota is used up: free some space, or name a place on another disk",
    errno.EFBIG: "the file grows beyond what is allowed (ulimit -f): raise the limit",
    errno.EACCES: "permission is denied: change the permissions, or name another place",
    errno.EROFS: "the file system is read-only: name another place",
}


class InputError(Exception):
    """The configuration is wrong, or a file or folder cannot be read or written."""


class DataError(InputError):
    """The impressions are wrong, so nothing is trained on them."""


def explain_place(error: OSError) -> str | None:
    """One sentence for an error of a disk or of its permissions; None for any other error."""
    if error.errno not in _PLACES:
        return None
    return f"{error.filename2 or error.filename or 'Writing'}: {_PLACES[error.errno]}."


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an exception, its cause, the cause of that, and so on: libraries wrap the errors of their callbacks."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
