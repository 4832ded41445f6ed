"""An HTTP server on loopback that sends exactly the bytes that a test says, and records what it was sent."""

import contextlib
import json
import socket
import struct
import threading
from typing import NamedTuple


class Request(NamedTuple):
    line: str
    headers: dict[str, str]
    body: bytes


def answer(body=b'{"outputs": [0.5]}', status="200 OK", headers=("Content-Type: application/json",), version="HTTP/1.1"):
    """Returns the bytes of an answer with the right length."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return "\r\n".join([f"{version} {status}", *headers, f"Content-Length: {len(body)}", "", ""]).encode() + body


def reset(connection):
    """Ends a connection with RST in place of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.close(connection.detach())  # `close` would wait for the file of the connection


class RawServer:
    """Calls `serve(connection, number)` with each request, whose number counts from 0. If that closes nothing, the next request is read.

    Attributes:
        requests: What was received.
        connections: How many connections were made.
    """

    def __init__(self, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.address = f"[{host}]:{self._listener.getsockname()[1]}" if ":" in host else f"{host}:{self._listener.getsockname()[1]}"
        self.url = f"http://{self.address}/v1/models/demo"
        self.requests, self.connections, self.serve = [], 0, lambda connection, number: connection.sendall(answer())
        self._open, self._threads = [], [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._answer, args=(connection,)))
                self._threads[-1].start()

    def _answer(self, connection):
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as file:
            while line := file.readline().decode().strip():
                headers = {}
                while header := file.readline().decode().strip():
                    name, _, value = header.partition(": ")
                    headers[name.lower()] = value
                self.requests.append(Request(line, headers, file.read(int(headers.get("content-length", 0)))))
                self.serve(connection, len(self.requests) - 1)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
