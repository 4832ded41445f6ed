"""Calls `din` and writes the time and the memory of each step of a run: `python -P run_steps.py OUT ARGUMENT…`.

PYTHONPATH is the checkout to measure. This module needs no other file of this folder, because older checkouts do not have it.
"""

import json
import resource
import sys
import time
from pathlib import Path

from pipeline.cli.main import main
from pipeline.terminal import Progress


def _now() -> tuple[float, float]:
    """CPU seconds of this process and of its children that have ended, and the time in seconds."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, time.monotonic()


def _peak_mb(reset: bool = False) -> float:
    """The peak of this process' memory since it was reset, in units of 10⁶ bytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024 / 1e6


_STEPS: dict[str, dict[str, float]] = {}


class MeasuredProgress(Progress):
    """Writes down what each step costs."""

    def start(self, step: str) -> None:
        super().start(step)
        _peak_mb(reset=True)
        self._before = step, *_now()

    def finish(self) -> None:
        step, cpu, wall = self._before
        cpu_now, wall_now = _now()
        _STEPS[step] = {"cpu": cpu_now - cpu, "wall": wall_now - wall, "peak_mb": _peak_mb()}
        super().finish()


if __name__ == "__main__":
    import pipeline.terminal

    pipeline.terminal.Progress = MeasuredProgress  # type: ignore[misc]
    status = main(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps(_STEPS))
    sys.exit(status)
