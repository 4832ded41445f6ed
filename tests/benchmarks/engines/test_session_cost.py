"""The costs of a session are those of all its processes, and of no other."""

import subprocess
import sys

import pytest

from benchmarks.engines.session_cost import Peak, cpu_seconds, memory_mb

BUSY = """
import os, sys, time
block = bytearray(int(sys.argv[1]) * 10**6)
child = os.fork()
while time.process_time() < 0.5:
    pass
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
print("done", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def busy():
    """A session whose first process and its child, which has ended, have each taken half a second, with 300 MB in use."""
    command = [sys.executable, "-c", BUSY, "300"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout.readline() == "done\n"
        yield process.pid
        process.stdin.close()


def test_the_seconds_of_a_child_that_has_ended_count(busy):
    assert 0.95 < cpu_seconds([busy]) < 2  # Linux counts in hundredths
    assert cpu_seconds([2**22]) == 0


def test_the_memory_is_that_of_the_session(busy):
    assert 300 < memory_mb([busy]) < 400


def test_a_peak_is_forgotten_once_it_is_taken(busy):
    sessions = [busy]
    peak = Peak(sessions)
    with peak.watched():
        pass
    assert 300 < peak.take() < 400
    sessions.clear()
    assert peak.take() == 0
