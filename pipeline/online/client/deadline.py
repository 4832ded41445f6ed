"""One bound for a whole HTTP request: each wait of its sockets gets only the time that is left, whatever the server does.

The time-outs of HTTP libraries bound each wait alone, so that a server which sends a byte now and then is waited for without end.
"""

import math
import socket
import threading
from collections.abc import Iterable
from ssl import SSLContext
from time import monotonic
from typing import Any

import httpcore

_CHUNK_BYTES = 1 << 16


class Deadline(threading.local):
    """The end of the request that this thread sends."""

    _end = math.inf

    def start(self, seconds: float) -> None:
        """A request begins that may take this long."""
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Returns the seconds that are left, 0 or less after the end."""
        return self._end - monotonic()

    def wait(self) -> float:
        """Returns the seconds that a socket may wait.

        Raises:
            httpcore.ReadTimeout: None is left.
        """
        left = self.left()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left


class DeadlineBackend(httpcore.NetworkBackend):
    """Connects as httpcore does, with the deadline in place of its time-outs. Only the look-up of a name is left to the resolver.

    Args:
        deadline: The end of each request.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline, self._plain = deadline, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(error) from error
        for number, (*_, address) in enumerate(found):
            try:
                stream = self._plain.connect_tcp(str(address[0]), port, self._deadline.wait(), local_address, socket_options)
                return _DeadlineStream(stream, self._deadline)
            except httpcore.ConnectError:
                if number == len(found) - 1:
                    raise
        raise httpcore.ConnectError(f"{host} has no address")


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.wait())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _CHUNK_BYTES):
            self._stream.write(buffer[start : start + _CHUNK_BYTES], self._deadline.wait())

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, self._deadline.wait()), self._deadline)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
