"""A sound data set, for tests that damage it."""

import pytest

from tests.sample_data import write_dataset


@pytest.fixture
def data(tmp_path):
    return write_dataset(tmp_path / "data")
