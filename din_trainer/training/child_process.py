"""Processes that train for this one: they have a share of its cores, and end when it ends, however it ends."""

import os
import subprocess
import sys
import threading
from pathlib import Path

_SOURCES = str(Path(__file__).parents[2])


def start_child(module: str, *arguments: str, of: int) -> subprocess.Popen[bytes]:
    """Starts `python -m module arguments`. It does not get the signals of the terminal.

    Args:
        module: Its main part must call `end_with_parent` first.
        arguments: Those of its command line.
        of: How many such processes share the cores.
    """
    cores = max(int(os.environ.get("TF_NUM_INTRAOP_THREADS", "1")) // of, 1)
    path = os.pathsep.join([_SOURCES, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": str(cores), "PYTHONPATH": path}
    command = [sys.executable, "-P", "-m", module, *arguments]  # -P: no modules of the working folder
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, env=environment)


def stop_child(process: subprocess.Popen[bytes]) -> None:
    """Ends a child if it has not ended, and waits until it has."""
    process.kill()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


def end_with_parent() -> None:
    """Makes this process end when the one that started it ends."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    os.read(0, 1)  # nothing is written there: this returns when the parent has ended
    os._exit(1)
