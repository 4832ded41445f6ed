"""Hides the secrets of URLs: they must not reach a terminal, a log or a summary."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HIDDEN = "***"

# The password in scheme://user:password@host. A password may hold any character but those that end the authority of a URL.
_PASSWORD = re.compile(r"(?P<before>[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#\s:@\"'<>]*:)[^/?#\s\"'<>]+(?=@)")
# A parameter whose name says that it is a secret, e.g. ?access_token=… or &X-Amz-Signature=…
_PARAMETER = re.compile(
    r"(?P<before>[?&;][\w.~-]*(?:token|secret|password|passwd|signature|sig|api_?key|access_?key|auth)=)[^&;#\s\"'<>]+", re.I
)


def hide_secrets(text: str) -> str:
    """Returns the text with `***` for each password of a URL, and for each of its parameters that is a secret by its name."""
    if "://" not in text:
        return text
    return _PARAMETER.sub(rf"\g<before>{HIDDEN}", _PASSWORD.sub(rf"\g<before>{HIDDEN}", text))


@contextmanager
def secrets_hidden_in_logs() -> Iterator[None]:
    """Hides the secrets in everything that is logged by Python's `logging`, by any library, until the end of the block."""
    before = logging.getLogRecordFactory()
    formatter = logging.Formatter()

    def without_secrets(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = before(*args, **kwargs)
        message = record.getMessage()
        if message != (hidden := hide_secrets(message)):
            record.msg, record.args = hidden, ()
        if record.exc_info:
            record.exc_text = hide_secrets(formatter.formatException(record.exc_info))  # other formatters use this text
        return record

    logging.setLogRecordFactory(without_secrets)
    try:
        yield
    finally:
        logging.setLogRecordFactory(before)
