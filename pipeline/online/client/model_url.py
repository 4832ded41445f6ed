"""The URL of a served model: server, protocol, name, and which version."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

_URL = re.compile(
    r"(?:(?P<rest>https?://[^/?#]+)/v1/models|grpc://(?P<grpc>[^/?#]+))/(?P<name>[^/:?#]+)"
    r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:?#]+))?/?"
)


class ModelUrl(NamedTuple):
    """The parts of a URL. Without version and label it means the server's latest version.

    Attributes:
        url: The URL as it was given, but without a user and password, since messages show it.
        rest: The server as http://HOST:PORT; None for gRPC.
        grpc: The server as HOST:PORT; None for REST.
        name: The name of the model.
        version: The version number, if the URL names one.
        label: The label, if the URL names one.
    """

    url: str
    rest: str | None
    grpc: str | None
    name: str
    version: str | None
    label: str | None


def parse_url(url: str) -> ModelUrl:
    """Reads the URL of a served model.

    Raises:
        ValueError: It is not such a URL.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{url!r} has spaces or letters beyond ASCII: write them as %20 in a name, and a host in its ASCII form.")
    found = _URL.fullmatch(url)
    if not found:
        raise ValueError(
            f"{url} names no served model: give http://HOST:PORT/v1/models/NAME or grpc://HOST:PORT/NAME, "
            "followed by /versions/N or /labels/LABEL for another version than the latest."
        )
    try:
        urlsplit(url).port  # noqa: B018  # reading it checks it
        if not urlsplit(url).hostname:
            raise ValueError("It names no host")
    except ValueError as error:
        raise ValueError(f"{url}: {str(error)[0].lower()}{str(error)[1:]}.") from error
    if found["version"] and int(found["version"]) >= 1 << 63:
        raise ValueError(f"{url} names a version beyond 64 bits, which no model has.")
    return ModelUrl(re.sub("//[^/@]*@", "//", url.rstrip("/")), **found.groupdict())
