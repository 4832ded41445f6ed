"""Calls `din` and writes what each step costs this session and those of a cluster: `python -m … OUT PIDS ARGUMENT…`.

PIDS is the folder with the process ids of a cluster of deploy/clusters, or an empty text.
"""

import json
import os
import sys
import time
from pathlib import Path

import pipeline.terminal
from benchmarks.engines.session_cost import Peak, cpu_seconds

_STEPS: dict[str, dict[str, float]] = {}
_CLUSTER = sys.argv[2] if len(sys.argv) > 2 else ""
_SESSIONS = [os.getsid(0), *(int(file.read_text().split()[0]) for file in (Path(_CLUSTER).iterdir() if _CLUSTER else ()))]
_PEAK = Peak(_SESSIONS)


class MeasuredProgress(pipeline.terminal.Progress):
    """Writes down what each step costs."""

    def start(self, step: str) -> None:
        super().start(step)
        _PEAK.take()
        self._before = step, cpu_seconds(_SESSIONS), time.monotonic()

    def finish(self) -> None:
        step, cpu, wall = self._before
        _STEPS[step] = {"cpu": cpu_seconds(_SESSIONS) - cpu, "wall": time.monotonic() - wall, "peak_mb": _PEAK.take()}
        super().finish()


if __name__ == "__main__":
    pipeline.terminal.Progress = MeasuredProgress  # type: ignore[misc]
    from pipeline.cli.main import main

    with _PEAK.watched():
        status = main(sys.argv[3:])
    Path(sys.argv[1]).write_text(json.dumps(_STEPS))
    sys.exit(status)
