"""What Transform finds out of two days of impressions, made once for all tests of a warm start."""

import pytest

from benchmarks.exports.transform_analysis import analyse
from din_trainer.features import FeatureConfig
from tests.din_trainer.training.warm_start.starting import FEATURES, FIRST, SECOND, kept_by


@pytest.fixture(scope="session")
def two_days(tmp_path_factory):
    """The Transform output of each day; the second forgets nothing. Not to be written to."""
    folder = tmp_path_factory.mktemp("days")
    features = FeatureConfig.model_validate(FEATURES)
    first = analyse(FIRST, features, folder / "1")
    return first, analyse(SECOND, features, folder / "2", with_counts=True, start=kept_by(folder / "1", forget_after=0))
