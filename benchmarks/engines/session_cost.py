"""What the processes of some sessions cost together, whatever language they run: CPU seconds and memory, read from Linux' /proc."""

import os
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

_TICK, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
_EVERY = 0.25  # seconds between two looks at the memory


def _processes(sessions: Collection[int]) -> Iterator[list[str]]:
    """The fields of /proc/PID/stat after the name, of each process of the sessions."""
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(") ")[2].split()
        except OSError:  # the process has ended
            continue
        if int(fields[3]) in sessions:
            yield fields


def cpu_seconds(sessions: Collection[int]) -> float:
    """The CPU time of the processes and of the children that they have waited for."""
    return sum(sum(map(int, fields[11:15])) for fields in _processes(sessions)) / _TICK


def memory_mb(sessions: Collection[int]) -> float:
    """The memory of the processes, in units of 10⁶ bytes. What two of them share counts twice."""
    return sum(int(fields[21]) for fields in _processes(sessions)) * _PAGE / 1e6


class Peak:
    """The largest memory since the last `take`.

    Args:
        sessions: The sessions, each by the id of its first process.
    """

    def __init__(self, sessions: Collection[int]):
        self._sessions, self._most = sessions, 0.0

    def take(self) -> float:
        """Returns the peak, and forgets it."""
        self._look()
        most, self._most = self._most, 0.0
        return most

    def _look(self) -> None:
        self._most = max(self._most, memory_mb(self._sessions))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Looks at the memory in a thread meanwhile."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(_EVERY):
                self._look()

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
