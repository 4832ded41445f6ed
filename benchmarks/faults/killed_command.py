"""Starts `din` in a session of its own, waits for it, and ends all its processes at a given moment."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_GONE_SECONDS = 10.0  # a process that is not in the group, such as the loader, ends when its pipe closes
_LOOK_SECONDS = 0.05


class Ended(NamedTuple):
    """How a command ended.

    Attributes:
        code: Its exit status; minus the number of a signal that ended it.
        seconds: How long it ran.
        out: What it printed to stdout.
        err: What it printed to stderr.
        alive: Processes that it left.
    """

    code: int
    seconds: float
    out: str
    err: str
    alive: list[str]

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Started:
    """A `din` that runs.

    Args:
        arguments: What follows `din`.
        temporary: Its TMPDIR. What it prints is kept beside that folder.
        environment: Further variables of its environment.
    """

    def __init__(self, arguments: Sequence[str], temporary: Path, environment: Mapping[str, str] | None = None):
        temporary.mkdir(parents=True, exist_ok=True)
        whole = {**os.environ, "TMPDIR": str(temporary), "COLUMNS": "150", **(environment or {})}
        command = [str(Path(sys.executable).with_name("din")), *arguments]
        number = time.monotonic_ns()
        self._out, self._err = (temporary.with_suffix(f".{number}.{name}") for name in ("out", "err"))
        self._started = time.monotonic()
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=whole, start_new_session=True)

    def wait_for(self, text: str) -> None:
        """Waits until stdout has a text, or the command has ended."""
        while text not in self._out.read_text(errors="replace") and self._process.poll() is None:
            time.sleep(_LOOK_SECONDS)

    def goes_on(self) -> bool:
        """Returns whether it has not ended."""
        return self._process.poll() is None

    def end(self, after: float | None = None, send: signal.Signals = signal.SIGKILL) -> Ended:
        """Waits until it ends.

        Args:
            after: Seconds until its process group gets a signal; None lets it end by itself.
            send: The signal.
        """
        try:
            try:
                self._process.wait(after)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, send)
            code = self._process.wait()
        except BaseException:  # somebody ends the test itself
            os.killpg(self._process.pid, signal.SIGKILL)
            raise
        seconds = time.monotonic() - self._started
        alive = _left_of(self._process.pid)
        out, err = (file.read_text(errors="replace") for file in (self._out, self._err))
        for file in (self._out, self._err):
            file.unlink()
        return Ended(code, seconds, out, err, alive)


def _left_of(session: int) -> list[str]:
    """Returns the processes of a session that do not end within some seconds."""
    deadline = time.monotonic() + _GONE_SECONDS
    while (left := _processes_of(session)) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    return left


def _processes_of(session: int) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append((folder / "cmdline").read_text().replace("\0", " ").strip())
        except (OSError, IndexError, ValueError):
            continue  # it has ended
    return found
