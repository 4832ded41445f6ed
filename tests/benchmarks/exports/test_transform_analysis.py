"""What exports are made of: vocabularies of given impressions, and random weights, none of which is 0 or 1 or occurs twice."""

import keras
import numpy as np

from benchmarks.exports.transform_analysis import analyse, randomise
from din_trainer.features import FeatureConfig
from din_trainer.layers.dice import Dice


def test_vocabularies_by_falling_frequency_from_impressions_with_gaps(tmp_path):
    features = FeatureConfig.model_validate(
        {
            "behaviours": {"item": {"candidate": "candidate_item_id", "history": "historical_item_ids"}},
            "user": {"user_id": {}, "city": {"dtype": "bytes"}},
        }
    )
    impressions = [
        {"user_id": 4, "candidate_item_id": 7, "historical_item_ids": [9, 7, 9], "city": "x", "label": 0},
        {"user_id": 4, "candidate_item_id": 9, "label": 1},  # neither history nor city
        {"user_id": 2, "candidate_item_id": 5, "historical_item_ids": [], "city": None, "label": 0},
    ]
    found = analyse(impressions, features, tmp_path)
    vocabularies = {name: found.vocabulary_by_name(name) for name in ("user_id", "item", "city")}
    assert vocabularies == {"user_id": [b"4", b"2"], "item": [b"9", b"7", b"5"], "city": [b"x"]}


def test_random_weights_are_unlike_each_other_and_deviations_positive():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), Dice()])
    randomise(model)
    values = np.concatenate([np.array(weight).ravel() for weight in model.weights])
    assert len(set(values)) == 3 * 4 + 4 + 4 + 3 * 4 and not {0.0, 1.0} & set(values)
    assert (np.array(model.layers[1].moving) > 1).all()
