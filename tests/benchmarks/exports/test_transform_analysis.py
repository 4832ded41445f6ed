"""What exports are made of: vocabularies of given impressions, and random weights, none of which is 0 or 1 or occurs twice."""

import keras
import numpy as np

from benchmarks.exports.transform_analysis import randomise
from din_trainer.layers.dice import Dice


def test_vocabularies_by_falling_frequency_from_impressions_with_gaps(small_export):
    """The second of the three impressions has neither histories nor an age, and no device."""
    names = ("user_id", "item", "category", "age")
    vocabularies = {name: small_export.transform_output.vocabulary_by_name(name) for name in names}
    assert vocabularies["item"][0] == b"7" and set(vocabularies["item"][1:3]) == {b"0", b"3"} and vocabularies["item"][3:] == [b"9", b"2"]
    assert vocabularies["user_id"] == [b"5", b"0"]
    assert vocabularies["category"] == [b"a", b"c", b"b"]
    assert set(vocabularies["age"]) == {b"3", b"4"}


def test_random_weights_are_unlike_each_other_and_deviations_positive():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), Dice()])
    randomise(model)
    values = np.concatenate([np.array(weight).ravel() for weight in model.weights])
    assert len(set(values)) == 3 * 4 + 4 + 4 + 3 * 4 and not {0.0, 1.0} & set(values)
    assert (np.array(model.layers[1].moving) > 1).all()
