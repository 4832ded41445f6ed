"""Calls `din` and writes what each step of a run costs: `python -P run_steps.py OUT ARGUMENT…`, with the checkout to measure as PYTHONPATH.

It needs no other file of this folder, because older checkouts do not have it.
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


_STEPS: dict[str, dict[str, float]] = {}


class MeasuredProgress(Progress):
    """Writes down what each step costs."""

    def start(self, step: str) -> None:
        super().start(step)
        self._before = step, *_now()

    def finish(self) -> None:
        step, cpu, wall = self._before
        cpu_now, wall_now = _now()
        _STEPS[step] = {"cpu": cpu_now - cpu, "wall": wall_now - wall}
        super().finish()


if __name__ == "__main__":
    import pipeline.terminal

    pipeline.terminal.Progress = MeasuredProgress  # type: ignore[misc]
    status = main(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps(_STEPS))
    sys.exit(status)
