"""Connections between the workers of one training: each process is connected to each other one, and all exchange bytes at the same time."""

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, answer_challenge, deliver_challenge
from pathlib import Path

from din_trainer.training_errors import NoCluster

Address = str | tuple[str, int]  # the path of a UNIX socket, or host and port
Bytes = bytes | memoryview

PATIENCE = 1800.0  # seconds that a worker waits for another one, which may be reading data or writing a checkpoint
_RETRY = 0.1  # seconds between two tries to connect
_ALIVE = {socket.TCP_KEEPIDLE: 30, socket.TCP_KEEPINTVL: 10, socket.TCP_KEEPCNT: 3}  # a lost machine is noticed after a minute


class WorkerLost(Exception):
    """Another worker has ended, or does not answer."""


class Mesh:
    """The connections of one worker to all others.

    All workers call `exchange` equally often. A worker whose process ends is noticed at once, since the kernel closes its connections; one
    that hangs, after `patience`.

    Args:
        index: The number of this worker, from 0.
        addresses: Where each worker listens.
        key: A secret that only the workers know. Other connections are refused (HMAC).
        patience: Seconds to wait for another worker.

    Attributes:
        index: As given.
        count: How many workers there are.
        lost: Why `exchange` failed. TensorFlow hides what is raised while a graph runs.

    Raises:
        WorkerLost: Not all workers are connected in time.
        NoCluster: This worker cannot listen at its address, or another one has another key.
    """

    def __init__(self, index: int, addresses: Sequence[Address], key: bytes, patience: float = PATIENCE):
        self.index, self.count = index, len(addresses)
        self.lost: WorkerLost | None = None
        self._patience = patience
        self._peers: dict[int, Connection] = {}
        end = time.monotonic() + patience
        with _listening(index, addresses[index], self.count) as server:
            for other in range(index):
                self._peers[other] = self._connect(other, addresses[other], key, end)
            while len(self._peers) < self.count - 1 and time.monotonic() < end:
                self._accept(server, key)
        if len(self._peers) < self.count - 1:
            raise WorkerLost(f"{self.count - 1 - len(self._peers)} of the other workers did not start within {patience:.0f} s")
        for peer in self._peers.values():
            _answer_quickly(peer)

    def exchange(self, parts: Sequence[Bytes]) -> list[Bytes]:
        """Sends each worker its part, and returns what each worker sent to this one; both in the order of the workers.

        Raises:
            WorkerLost: Another worker has ended, or sends nothing for too long.
        """
        received = list(parts)
        for other in sorted(self._peers):
            try:
                if self.index < other:  # of two workers one sends first and one receives first, so that neither waits for ever
                    self._peers[other].send_bytes(parts[other])
                received[other] = self._receive(other)
                if self.index > other:
                    self._peers[other].send_bytes(parts[other])
            except (EOFError, OSError) as error:
                self.lost = WorkerLost(f"worker {other} has ended")
                raise self.lost from error
        return received

    def close(self) -> None:
        for peer in self._peers.values():
            peer.close()

    def _receive(self, other: int) -> bytes:
        if not self._peers[other].poll(self._patience):
            self.lost = WorkerLost(f"worker {other} has sent nothing for {self._patience:.0f} s")
            raise self.lost
        return self._peers[other].recv_bytes()

    def _accept(self, server: socket.socket, key: bytes) -> None:
        """Waits a moment for a connection. It is checked in a thread of its own, since a stranger may say nothing."""
        try:
            connection, _ = server.accept()
        except TimeoutError:
            return
        connection.setblocking(True)
        threading.Thread(target=self._check, args=[Connection(connection.detach()), key], daemon=True).start()

    def _check(self, peer: Connection, key: bytes) -> None:
        """Makes a connection that has the key one of the peers."""
        try:
            deliver_challenge(peer, key)
            answer_challenge(peer, key)
            self._peers[int.from_bytes(peer.recv_bytes())] = peer
        except (AuthenticationError, EOFError, OSError):
            peer.close()

    def _connect(self, other: int, address: Address, key: bytes, end: float) -> Connection:
        while True:
            try:
                peer = Client(address)
                if not peer.poll(max(end - time.monotonic(), 0)):
                    raise TimeoutError
                answer_challenge(peer, key)
                deliver_challenge(peer, key)
                peer.send_bytes(self.index.to_bytes(4))
                return peer
            except AuthenticationError as error:
                raise NoCluster(
                    f"Worker {other} of the training has another key than worker {self.index}: give all workers the same DIN_WORKERS_KEY."
                ) from error
            except (OSError, EOFError) as error:
                if time.monotonic() > end:
                    raise WorkerLost(f"worker {other} did not start within {self._patience:.0f} s") from error
                time.sleep(_RETRY)


@contextmanager
def _listening(worker: int, address: Address, backlog: int) -> Iterator[socket.socket]:
    """A socket that accepts connections; an attempt to accept one takes a moment at most.

    Raises:
        NoCluster: The address cannot be used.
    """
    try:
        if isinstance(address, str):
            server = socket.socket(socket.AF_UNIX)
            server.bind(address)
            server.listen(backlog)
        else:
            server = socket.create_server(address, backlog=backlog)
    except OSError as error:
        raise NoCluster(f"Worker {worker} of the training cannot listen at {address}: {error.strerror}.") from error
    server.settimeout(_RETRY)
    try:
        with server:
            yield server
    finally:
        if isinstance(address, str):
            Path(address).unlink()


def _answer_quickly(peer: Connection) -> None:
    """Sets the options of a TCP connection: small messages go out at once, and a lost machine is noticed."""
    with socket.socket(fileno=os.dup(peer.fileno())) as connection:
        if connection.family == socket.AF_UNIX:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _ALIVE.items():
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
