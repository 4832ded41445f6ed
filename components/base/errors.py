"""The exceptions for what a user can correct. Their message is one sentence: what, where, what to do. `din` prints it and exits 2."""

import errno
import os
import re
from collections.abc import Iterator

_PLACES = {
    errno.ENOSPC: "the disk is full: free some space, or name a place on another disk",
    errno.EDQUOT: "the disk quota is used up: free some space, or name a place on another disk",
    errno.EFBIG: "the file grows beyond what is allowed (ulimit -f): raise the limit",
    errno.EACCES: "permission is denied: change the permissions, or name another place",
    errno.EROFS: "the file system is read-only: name another place",
    errno.ENOTDIR: "a part of the path is a file, not a folder: name another place",
    errno.EISDIR: "a folder is where a file is needed: move it away, or name another place",
    errno.EIO: "the disk reports an error: look at the system's log, or name a place on another disk",
    errno.ENAMETOOLONG: "the path is too long: name a shorter one",
    errno.EMFILE: "this process has too many files open (ulimit -n): raise the limit",
    errno.ENFILE: "the system has too many files open: end other programs, or raise its limit",
}
_PHRASES = {os.strerror(number): sentence for number, sentence in _PLACES.items()} | {
    "database or disk is full": _PLACES[errno.ENOSPC],
    "cannot commit - no transaction is active": "the database took back a change: free some space, or look at the disk",
    "disk I/O error": "the disk, or the limit of file sizes (ulimit -f), stops the database: look at both",
    "attempt to write a readonly database": _PLACES[errno.EACCES],
    "unable to open database file": "the database cannot be opened: look at the permissions and the length of its path",
    "database is locked": "the database is locked: wait for the program that uses it",
    "PostgreSQL metadata source error": "the database server of metadata.url does not answer, or refuses a change: look at its log",
    "mysql_query failed": "the database server of metadata.url does not answer, or refuses a change: look at its log",
    "mysql_real_connect failed": "the database server of metadata.url does not answer: look at its log",
}  # TensorFlow and SQLite hand on the text of an error, without its number


class InputError(Exception):
    """The configuration is wrong, or a file or folder cannot be read or written."""


class DataError(InputError):
    """The impressions are wrong, so nothing is trained on them."""


def explain_place(error: BaseException) -> str | None:
    """One sentence for an error of a disk, of a path or of permissions, wherever it stands among the causes; None for any other error."""
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.errno in _PLACES:
            return f"{cause.filename2 or cause.filename or 'Writing'}: {_PLACES[cause.errno]}."
    for cause in causes(error):
        text = str(cause)
        for phrase in _PHRASES:
            if phrase in text:
                named = re.search(rf"(\S+); {re.escape(phrase)}", text)  # as TensorFlow writes it
                return f"{named[1] if named else 'Writing'}: {_PHRASES[phrase]}."
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an exception, its cause, the cause of that, and so on: libraries wrap the errors of their callbacks."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
