"""How an export is measured; what is refused is tested with the component, in `tests/components/test_infra_gate.py`."""

import numpy as np
import pytest

from components.serving.gate.examine_export import measure_latency
from components.serving.model.warm_up import Request


def test_the_latency_is_that_of_the_fastest_round():
    rounds = iter([np.full(10, 0.001), np.full(200, 0.005), np.full(200, 0.002), np.full(200, 0.009)])  # the first sets the number of runs

    class Served:
        def time(self, signature, tensors, repeat):
            return next(rounds)

    assert measure_latency(Served(), Request("predict", {})) == pytest.approx({"p50": 2.0, "p99": 2.0})
