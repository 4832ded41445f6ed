"""The total length of ids is that of their texts."""

import numpy as np
import pyarrow as pa
import pytest

from components.base.id_lengths import total_length

EDGES = [0, 9, 10, 99, 100, -1, -9, -10, 10**18 - 1, 10**18, 2**63 - 1, -(2**63), -(10**18)]


@pytest.mark.parametrize("values", [EDGES, EDGES * 3, [], [7] * 5, np.random.default_rng(0).integers(-(10**6), 10**12, 1000).tolist()])
def test_lengths_are_those_of_str(values):
    assert total_length(pa.array(values, pa.int64())) == sum(len(str(value)) for value in values)
