"""A worker's process that ends is reported."""

import sys

import pytest

from benchmarks.peers.worker_process import Worker
from components.base.errors import InputError


def test_a_worker_that_ends_is_named_with_its_error():
    with pytest.raises(InputError, match="DeepCTR ended: out of luck"):
        Worker("DeepCTR", [sys.executable, "-c", "import sys; sys.exit('out of luck')"])
