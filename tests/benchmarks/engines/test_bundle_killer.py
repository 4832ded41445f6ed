"""The orders by which a fault test kills a worker in a bundle."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks.engines.bundle_killer import Orders

_WORKER = """
import os, sys, threading
from apache_beam.runners.worker.bundle_processor import DataInputOperation
from benchmarks.engines import bundle_killer

operation = DataInputOperation.__new__(DataInputOperation)  # without a runner: its state as after start()
operation.splitting_lock, operation.index, operation.stop = threading.Lock(), -1, float("inf")
class Coder:
    def decode_from_stream(self, stream, nested):
        return stream.read_byte()
operation.windowed_coder_impl = Coder()
operation.output = lambda value: print(value, flush=True)
bundle_killer.obey()
for bundle in (b"ab", b"cd", b"ef"):
    operation.index = -1
    operation.process_encoded(bundle)
    operation.process_encoded(b"z")  # more records of the same bundle
"""


def test_the_ordered_bundle_alone_is_killed_and_counted(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    orders.give(bundle=3, after=0.5)
    assert [orders.next_bundle() for _ in range(5)] == [None, None, 0.5, None, None]
    assert orders.withdraw() == (5, True)
    assert orders.next_bundle() is None  # nothing is ordered any more
    assert orders.withdraw() == (0, False)


def test_a_new_order_counts_from_one(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    orders.give(bundle=2, after=0.0)
    orders.next_bundle()
    orders.give(bundle=2, after=0.25)
    assert [orders.next_bundle(), orders.next_bundle()] == [None, 0.25]


def test_a_worker_dies_after_the_records_of_its_bundle_have_arrived_and_before_the_bundle_ends(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    environment = {**os.environ, **orders.hook()}
    orders.give(bundle=2, after=30.0)
    done = subprocess.run([sys.executable, "-c", _WORKER], env=environment, stdout=subprocess.PIPE, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == [b"97", b"98", b"122", b"99", b"100"]  # all of "ab" and "z"; "cd", but not the "z" after it
    assert orders.withdraw() == (2, True)


def test_only_workers_of_beam_load_the_hook(tmp_path: Path) -> None:
    code = "import sys; print('benchmarks.engines.bundle_killer' in sys.modules)"
    environment = {**os.environ, **Orders(tmp_path).hook()}
    for further, loaded in ((" # forkserver", b"True\n"), ("", b"False\n")):
        assert subprocess.run([sys.executable, "-c", code + further], env=environment, stdout=subprocess.PIPE, check=True).stdout == loaded
