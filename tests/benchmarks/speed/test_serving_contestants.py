"""Processes are kept on one core."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.speed.serving_contestants import pin


@pytest.fixture
def two_threads():
    """A process with two threads."""
    script = "import threading; threading.Thread(target=input).start(); print(flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_all_threads_of_a_process_are_kept_on_one_core(two_threads):
    pin(two_threads.pid)
    tasks = [int(task.name) for task in Path(f"/proc/{two_threads.pid}/task").iterdir()]
    assert len(tasks) == 2 and all(len(os.sched_getaffinity(task)) == 1 for task in tasks)
