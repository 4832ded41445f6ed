"""`rank` refuses a request in which the features of the candidates are not of the same candidates."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.export.signatures import ServingModel
from din_trainer.models.make_model import make_model
from din_trainer.training.initial_tables import vocabulary_sizes
from tests.din_trainer.reading.every_kind import CANDIDATES, FEATURES, impression, raw_tensors
from tests.transforming import as_tensors


def test_each_candidate_feature_needs_a_value_for_each_candidate(every_kind_output):
    """One price was the price of all candidates in `lr`, and tags of one candidate left the others without tags in every model."""
    config = DINConfig.model_validate({"features": FEATURES, "model": {"kind": "lr"}})
    serving = ServingModel(make_model(config, vocabulary_sizes(FEATURES.vocabularies, every_kind_output)), every_kind_output)
    user = as_tensors(raw_tensors([impression(np.random.default_rng(0), known=True, padded=True)]))
    ranked = {name: tf.repeat(x[:, None], 3, axis=1) if name in CANDIDATES else x for name, x in user.items()}
    assert serving.rank(**ranked)["probability"].shape == (1, 3)
    first, *others = [column.name for column in FEATURES.columns if column.role == "candidate"]
    for name in others:
        for short in (ranked[name][:, :1], tf.repeat(ranked[name], 2, axis=1)):
            with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name} needs a value for each candidate of {first}"):
                serving.rank(**{**ranked, name: short})
