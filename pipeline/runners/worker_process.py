"""Becomes Beam's Python workers by fork: a process that has imported TensorFlow once. Each worker would need 8 CPU seconds for that.

It reads a JSON line for each worker from stdin, and answers with the id of its process. When stdin ends, it ends the workers and itself.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

_PATIENCE = 10.0  # seconds between SIGTERM and SIGKILL
_LOOK_SECONDS = 0.1


def main() -> None:
    """Imports what the Beam jobs of the pipeline need, and forks workers until stdin ends."""
    import tensorflow_data_validation  # noqa: F401
    import tensorflow_model_analysis  # noqa: F401
    import tensorflow_transform.beam  # noqa: F401
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)  # the pool ends it by the end of stdin, after the workers
    running: set[int] = set()
    for line in sys.stdin:
        running = {process for process in running if not _has_ended(process)}
        order = json.loads(line)
        if process := os.fork():
            running.add(process)
            print(process, flush=True)
            continue
        _leave_parent(Path(order["log"]))
        SdkHarness(order["endpoint"], worker_id=order["id"], state_cache_size=100).run()
        os._exit(0)
    _end(running)


def _leave_parent(log: Path) -> None:
    """Gives the forked process files and signals of its own."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    nothing, written = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for target, source in ((0, nothing), (1, written), (2, written)):
        os.dup2(source, target)


def _has_ended(process: int) -> bool:
    return os.waitpid(process, os.WNOHANG)[0] == process


def _end(running: set[int]) -> None:
    for process in running:
        os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    while (running := {process for process in running if not _has_ended(process)}) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    for process in running:
        os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    main()
