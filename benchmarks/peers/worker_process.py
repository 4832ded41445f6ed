"""Starts the scripts of `workers/` and asks them for measurements: the benchmark's side of their protocol."""

import contextlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from components.base.errors import InputError

WORKERS = Path(__file__).parent / "workers"


class Worker:
    """One implementation in a process of its own. `benchmarks.peers.workers.harness` describes the protocol.

    Args:
        name: The name of the implementation in error messages.
        command: The command that starts it.

    Raises:
        InputError: The process has ended; the message contains the end of its standard error.
    """

    def __init__(self, name: str, command: list[str]):
        self._name = name
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True)
        self.pid = self._process.pid
        self.version = self._read()["version"]

    def ask(self, **command: Any) -> dict[str, Any]:
        """Sends a command and waits for the answer.

        Raises:
            InputError: The process has ended; the message contains the end of its standard error.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the process has ended: the missing answer shows it
            print(json.dumps(command), file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise InputError(f"{self._name} ended: {self._errors.read().strip()[-2000:]}")
        return json.loads(line)

    def close(self) -> None:
        """Ends the process: closes its input, so that it can clean up, and kills it if that takes too long."""
        try:
            self._process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._errors.close()
