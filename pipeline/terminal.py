"""What the user sees on the terminal: lines of text, and the progress of the steps. The output of the libraries goes to a log file."""

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from components.base.secrets import hide_secrets

if TYPE_CHECKING:  # `din --help` is quicker without it
    from rich.live import Live

    from pipeline.console import Console

# Control characters (C0, DEL, C1), line separators, marks and overrides of the writing direction, and characters without width. The two
# joiners U+200C and U+200D are left as they are: several scripts need them.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_INTERRUPTED = threading.Event()


def printable(text: str, encoding: str | None = "utf-8") -> str:
    """Escapes what would move the cursor, end the line or reorder the text of a terminal, e.g. a newline as `\\n` and ESC as `\\x1b`.

    Secrets of URLs are hidden, too.

    Args:
        text: One line for the terminal. It may hold text from data, from file names or from a configuration.
        encoding: The encoding of the terminal. What it cannot show, such as half of a surrogate pair, is escaped as well.
    """
    escaped = _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), hide_secrets(text))
    encoding = encoding or "utf-8"
    return escaped.encode(encoding, "backslashreplace").decode(encoding)


def say(line: str, stream: TextIO | None = None) -> None:
    """Prints one line. Everything that commands print goes through here or through `pipeline.console`, so that it is escaped once.

    Args:
        line: The line. Text with several lines needs one call for each.
        stream: Where to print: by default stdout.
    """
    stream = stream or sys.stdout
    print(printable(line, stream.encoding), file=stream, flush=True)


def complain(reason: str) -> None:
    """Prints on stderr why a command failed."""
    say(f"din: {reason}", sys.stderr)


@contextmanager
def output_to(log: Path) -> Iterator[TextIO]:
    """Sends everything that this process and its children print to a file, and yields the real stdout.

    This replaces the file descriptors 1 and 2, because the C++ code of TensorFlow writes to them directly.
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


def interrupt_on_sigterm() -> None:
    """Makes SIGTERM raise KeyboardInterrupt, as Ctrl-C does, so that the process cleans up, and remembers both for `raise_if_interrupted`.

    SIGTERM is not turned into SIGINT, because a process that a shell started in the background ignores SIGINT.
    """

    def interrupt(*_: object) -> None:
        _INTERRUPTED.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)


def raise_if_interrupted() -> None:
    """Raises the KeyboardInterrupt of a signal again. Libraries swallow it: Keras then loads a model without some of its weights.

    Raises:
        KeyboardInterrupt: A signal has come.
    """
    if _INTERRUPTED.is_set():
        raise KeyboardInterrupt


class Progress:
    """Prints one line for each step: on a terminal a live one while the step runs, then its name, time, rate and last detail.

    Cached steps of several days, such as `StatisticsGen.2026-11-24`, share one line if they follow one another.

    Args:
        console: Where to print. A console that is no terminal gets the lines of finished steps only.
        examples: Number of impressions that a step reads, by name of the step, for the rate.

    Attributes:
        seconds: Time of each finished step.
        cached: The steps whose result was in the cache.
        width: The room for the names of steps.
    """

    def __init__(self, console: "Console", examples: dict[str, int] | None = None):
        self.examples = examples or {}
        self.seconds: dict[str, float] = {}
        self.cached: set[str] = set()
        self.width = 18
        self._console = console
        self._live: Live | None = None
        self._current = ""
        self._detail = ""
        self._started = 0.0
        self._cached_days: dict[str, float] = {}  # the seconds of cached steps of one node that are not printed yet

    def start(self, step: str) -> None:
        """Begins a step."""
        from rich.live import Live

        self.stop()
        self._current, self._detail, self._started = step, "", time.monotonic()
        # By default Rich shows what this process prints on the terminal, but that belongs in the log.
        self._live = Live(console=self._console, transient=True, redirect_stdout=False, redirect_stderr=False)
        self._live.start()
        self._spin(f"{step} …")

    def detail(self, text: str) -> None:
        """Shows what the running step is doing now."""
        self._detail = text
        self._spin(f"{self._current}: {text} ({time.monotonic() - self._started:.0f} s)")

    def _spin(self, text: str) -> None:
        from rich.spinner import Spinner

        if self._live:
            self._live.update(Spinner("dots", self._console.render_str(text)))

    def line(self, text: str) -> None:
        """Prints a line of its own, above the line of the running step."""
        self._console.print(f"  {text}", soft_wrap=True)

    def mark_cached(self) -> None:
        """Notes that the running step takes its result from the cache."""
        self.cached.add(self._current)

    def finish(self) -> None:
        """Ends the running step and prints its line."""
        seconds = time.monotonic() - self._started
        self.seconds[self._current] = round(seconds, 3)
        self.stop()
        self._print_finished(self._current, seconds, self._detail)

    def _print_finished(self, step: str, seconds: float, detail: str) -> None:
        node, dot, _ = step.partition(".")
        is_cached_day = bool(dot) and step in self.cached
        before = list(self._cached_days)
        if before and not (is_cached_day and before[0].startswith(f"{node}.")):
            name = before[0] if len(before) == 1 else f"{before[0].partition('.')[0]} × {len(before)}"
            self._print(name, sum(self._cached_days.values()), "cached")
            self._cached_days.clear()
        if is_cached_day:
            self._cached_days[step] = seconds
        elif step in self.cached:
            self._print(step, seconds, "cached")
        else:
            count = self.examples.get(step)
            rate = f"{count / max(seconds, 1e-9):>10,.0f} examples/s" if count else ""
            self._print(step, seconds, "   ".join(part for part in (rate, detail) if part))

    def _print(self, name: str, seconds: float, text: str) -> None:
        self._console.print(f"  {name:<{self.width}} {seconds:6.1f} s   {text}", soft_wrap=True)

    def stop(self) -> None:
        """Removes the live line, if there is one."""
        if self._live:
            self._live.stop()
        self._live = None
