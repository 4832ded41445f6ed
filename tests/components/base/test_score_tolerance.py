"""The allowed difference of scores."""

import numpy as np
import pytest

from components.base.score_tolerance import allowed_difference


def test_large_logits_may_differ_by_more():
    assert allowed_difference(1e-6, [0.5, 0.6]) == 1e-6
    assert allowed_difference(1e-6, [[0.5], [1 / (1 + np.exp(5))]]) == pytest.approx(5e-6)
    assert allowed_difference(1e-6, []) == 1e-6
