"""Lets a worker of Apache Beam kill itself in the middle of a bundle, on the order of a fault test.

The worker pool of the test has `hook()` on the PYTHONPATH of its workers. An order says which bundle it is, counted over all workers, and
how many seconds after the bundle's first records. A bundle that is shorter is killed after these records, before it has ended.
"""

import contextlib
import fcntl
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

_ENVIRONMENT = "DIN_BUNDLE_KILLER"
_HOOK = """import sys
if any("forkserver" in argument for argument in sys.orig_argv):
    from benchmarks.engines.bundle_killer import obey
    obey()
"""


class Orders:
    """The orders to the workers of a cluster.

    Args:
        folder: Where the files are by which the test and the workers talk to each other.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._order, self._count, self._killed = (folder / name for name in ("order.json", "bundles", "killed.json"))

    def hook(self) -> dict[str, str]:
        """Makes the folder. Returns the environment in which a worker pool must be started."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "sitecustomize.py").write_text(_HOOK)
        path = f"{self._folder}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")
        return {_ENVIRONMENT: str(self._folder), "PYTHONPATH": path}

    def give(self, bundle: int, after: float) -> None:
        """Orders that a bundle be killed.

        Args:
            bundle: Which one, from 1, of those that begin from now on.
            after: How many seconds after its first records have arrived.
        """
        self.withdraw()
        _replace(self._order, json.dumps({"bundle": bundle, "after": after}))

    def withdraw(self) -> tuple[int, bool]:
        """Ends an order. Returns how many bundles have begun since it was given, and whether one was killed."""
        with self._lock():
            self._order.unlink(missing_ok=True)
            bundles = int(self._count.read_text()) if self._count.exists() else 0
            killed = self._killed.exists()
            for file in (self._count, self._killed):
                file.unlink(missing_ok=True)
        return bundles, killed

    def next_bundle(self) -> float | None:
        """Counts a bundle. Returns the seconds until its worker must be killed; None if it goes on."""
        if not self._order.exists():
            return None
        with self._lock():
            if not self._order.exists():
                return None
            count = 1 + (int(self._count.read_text()) if self._count.exists() else 0)
            _replace(self._count, str(count))
            order = json.loads(self._order.read_text())
            if count != order["bundle"] or self._killed.exists():
                return None
            self._killed.touch()
            return float(order["after"])

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        with open(self._folder / "lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _replace(file: Path, text: str) -> None:
    """Writes a file that is whole even if this process is killed meanwhile."""
    part = file.with_suffix(".part")
    part.write_text(text)
    part.rename(file)


def obey() -> None:
    """Makes this process, a worker, look for an order at the beginning of each bundle."""
    from apache_beam.runners.worker.bundle_processor import DataInputOperation

    orders = Orders(Path(os.environ[_ENVIRONMENT]))
    process_encoded = DataInputOperation.process_encoded

    def killable(self: DataInputOperation, records: bytes) -> None:
        after = orders.next_bundle() if self.index == -1 else None  # the bundle's first records
        if after is not None:
            timer = threading.Timer(after, _die)
            timer.start()
        process_encoded(self, records)
        if after is not None:
            _die()

    DataInputOperation.process_encoded = killable


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
