"""What Transform finds out of random impressions of every kind, made once for all tests of it."""

import numpy as np
import pytest

from benchmarks.exports.transform_analysis import analyse
from din_trainer.reading.raw_reader import Reader
from tests.din_trainer.reading.every_kind import FEATURES, impression


@pytest.fixture(scope="session")
def every_kind_output(tmp_path_factory):
    """Transform's output for the features of `tests.din_trainer.reading.every_kind`; not to be written to."""
    rng = np.random.default_rng(0)
    return analyse([impression(rng, known=True) for _ in range(200)], FEATURES, tmp_path_factory.mktemp("transform"))


@pytest.fixture(scope="session")
def every_kind_reader(every_kind_output):
    """The reader of these features."""
    return Reader(FEATURES, every_kind_output)
