"""Reads `metadata.url`: which database server holds the metadata, and how to log in there."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

_PORTS = {"postgresql": 5432, "mysql": 3306}
_SOCKET = {"postgresql": "host", "mysql": "socket"}  # the parameter that names a UNIX socket, as their own clients call it
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")  # ml-metadata does not quote names
_FORM = "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or mysql://…"


class StoreUrl(NamedTuple):
    """A database of a server.

    Attributes:
        scheme: `postgresql` or `mysql`.
        user: Who logs in.
        password: None if the URL has none.
        host: Name or address of the server; empty for a UNIX socket.
        port: Its port.
        socket: Where the UNIX socket is: its folder for PostgreSQL, its file for MySQL; empty for a host.
        database: The name of the database.
    """

    scheme: str
    user: str
    password: str | None
    host: str
    port: int
    socket: str
    database: str

    @property
    def public(self) -> str:
        """The URL without its password."""
        if self.socket:
            return f"{self.scheme}://{self.user}@:{self.port}/{self.database}?{_SOCKET[self.scheme]}={self.socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{self.user}@{host}:{self.port}/{self.database}"


def parse_store_url(url: str) -> StoreUrl:
    """Reads the URL of a database.

    Raises:
        ValueError: It is of another form. The message does not repeat the URL, which may have a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"it is no URL of a database server: {_FORM}") from error
    if parts.scheme not in _PORTS:
        raise ValueError(f"it must begin with postgresql:// or mysql://: {_FORM}, or leave it empty for a file in the workspace")
    user, database, host = unquote(parts.username or ""), unquote(parts.path.removeprefix("/")), parts.hostname or ""
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    socket = options.pop(_SOCKET[parts.scheme], "")
    if options or parts.fragment:
        raise ValueError(f"it can have the parameter {_SOCKET[parts.scheme]} alone: {_FORM}")
    if bool(host) == bool(socket):
        raise ValueError(f"it must name a host, or a UNIX socket with ?{_SOCKET[parts.scheme]}=/PATH, and not both: {_FORM}")
    if socket and not re.fullmatch(r"/[^\s'\\]+", socket):
        raise ValueError("the path of its UNIX socket must be absolute, without spaces, quotes and backslashes")
    if host and not re.fullmatch(r"[A-Za-z0-9.:_-]+", host):
        raise ValueError(f"its host is not the name or address of a machine: {_FORM}")
    for what, name in (("user", user), ("database", database)):
        if not _NAME.fullmatch(name):
            raise ValueError(f"its {what} must be a name of letters, digits and _: {_FORM}")
    password = None if parts.password is None else unquote(parts.password)
    return StoreUrl(parts.scheme, user, password, host, port or _PORTS[parts.scheme], socket, database)
