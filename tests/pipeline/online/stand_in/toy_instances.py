"""The rows of the toy model as instances of a REST request, and the scores of its latest version for them, for tests."""

from components.serving.model.impression_tensors import json_instances, predict_tensors
from din_trainer.features import FeatureConfig
from tests.components.serving import toy

FEATURES = FeatureConfig()
INSTANCES = json_instances(predict_tensors(toy.ROWS, FEATURES))
EXPECTED = [toy.probability(row, 0.2) for row in toy.ROWS]
