"""The one sentence with which the check of the data refuses a data set, for tests."""

import pytest

from components.base.errors import InputError
from din_trainer.features import FeatureConfig
from pipeline.run.checks.check_impressions import check_data

FEATURES = FeatureConfig()


def refused(data, features=FEATURES):
    with pytest.raises(InputError) as error:
        check_data(data, features)
    message = str(error.value)
    assert "\n" not in message
    return message
