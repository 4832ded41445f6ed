"""What a user sees while a pipeline runs; everything else goes to the log file."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:  # `din --help` is quicker without it
    from rich.console import Console
    from rich.live import Live


@contextmanager
def output_to(log: Path) -> Iterator[TextIO]:
    """Sends all that this process and its children print, C++ libraries included, to a file; yields the real stdout.

    File descriptors 1 and 2 are replaced, since TensorFlow writes to them behind Python's back.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(file, 1)
        os.dup2(file, 2)
        with os.fdopen(os.dup(kept[0]), "w") as terminal:
            yield terminal
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in zip((1, 2), kept, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        os.close(file)


def heed_sigterm() -> None:
    """Has a kill end the process as Ctrl-C does, so that nothing half-done stays behind.

    It raises KeyboardInterrupt by itself: where a shell runs a command in the background, SIGINT is ignored.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


class Progress:
    """One line a step: live while it runs (on a terminal), then what it was, how long it took and whether it was cached.

    Args:
        console: Where to; a console that is no terminal gets the finished lines only.
        examples: Impressions that each step works on, by name, for the rate.
    """

    def __init__(self, console: "Console", examples: dict[str, int] | None = None):
        self.examples = examples or {}
        self.seconds: dict[str, float] = {}
        self.cached: set[str] = set()
        self._console = console
        self._live: Live | None = None
        self._current = ""
        self._detail = ""
        self._started = 0.0

    def start(self, step: str) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        self.stop()
        self._current, self._detail, self._started = step, "", time.monotonic()
        # Rich would show on the terminal what this process prints meanwhile, which belongs in the log.
        self._live = Live(console=self._console, transient=True, redirect_stdout=False, redirect_stderr=False)
        self._live.start()
        self._live.update(Spinner("dots", f"{step} …"))

    def detail(self, text: str) -> None:
        """What the running step is doing just now."""
        from rich.spinner import Spinner

        self._detail = text
        if self._live:
            self._live.update(Spinner("dots", f"{self._current}: {text} ({time.monotonic() - self._started:.0f} s)"))

    def mark_cached(self) -> None:
        self.cached.add(self._current)

    def finish(self) -> None:
        """Ends the running step with its line."""
        seconds = time.monotonic() - self._started
        self.seconds[self._current] = round(seconds, 3)
        if self._current in self.cached:
            text = "cached"
        else:
            count = self.examples.get(self._current)
            rate = f"{count / max(seconds, 1e-9):>10,.0f} examples/s" if count else ""
            text = "   ".join(part for part in (rate, self._detail) if part)
        step = self._current
        self.stop()
        self._console.print(f"  {step:<18} {seconds:6.1f} s   {text}", highlight=False, soft_wrap=True)

    def stop(self) -> None:
        """Takes the live line away, if there is one."""
        if self._live:
            self._live.stop()
        self._live = None
