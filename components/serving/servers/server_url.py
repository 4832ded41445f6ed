"""The address of a server that a push asks: `grpc://HOST:PORT`."""

import re

_URL = re.compile(r"grpc://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


def is_server_url(url: str) -> bool:
    """Returns whether a text is grpc://HOST:PORT."""
    found = _URL.fullmatch(url)
    return found is not None and 0 < int(found[2]) < 2**16
