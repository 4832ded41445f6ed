"""Tags in raw tensors: padding may stand anywhere, there may be no place for a tag at all, and weights are bounded as those of the data."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.features import FeatureConfig
from din_trainer.reading.raw_tensors import raw_tensor_spec, read_tensors
from din_trainer.reading.tags import of_padded, of_ragged

TAGS = {"kind": "tags", "most": 2}
FEATURES = FeatureConfig.model_validate({
    "history_length": 2,
    "behaviours": {"item": {"candidate": "candidate_item_id", "history": "historical_item_ids"}},
    "user": {"user_id": {}, "likes": {**TAGS, "weights": "like_weights"}},
    "candidate": {"genres": TAGS},
    "events": {"clicks": {"words": {**TAGS, "lengths": "word_counts", "weights": "word_weights"}}},
})  # fmt: skip
BASE = {"user_id": tf.constant([1, 2], tf.int64), "historical_item_ids": tf.constant([[7, 8, 9], [-1, 5, -1]], tf.int64)}


def read(items, likes, genres, words):
    """The raw tags of two impressions, as an export reads them. All weights are the tags' own numbers."""
    given = {"candidate_item_id": items, "likes": likes, "genres": genres, "words": words}
    tensors = {**BASE, **{name: tf.constant(x, tf.int64) for name, x in given.items()}}
    weights = {"like_weights": tf.cast(tensors["likes"], tf.float32), "word_weights": tf.cast(tensors["words"], tf.float32)}
    spec = raw_tensor_spec(FEATURES, candidates=tensors["candidate_item_id"].shape.rank == 2)

    @tf.function(input_signature=[spec])
    def traced(tensors):
        return {name: [x for x in tags if x is not None] for name, tags in read_tensors(tensors, FEATURES).tags.items()}

    return {name: [x.numpy().tolist() for x in tags] for name, tags in traced({**tensors, **weights}).items()}


def test_tags_and_weights_by_hand():
    """The two most recent events of the first impression are 8 and 9: slots 0 and 1. The event of the second is slot 2."""
    words = [[[1, 2, 3], [-1, 4, -1], [5, 6, 7]], [[9, 9, 9], [-1, -1, 8], [9, 9, 9]]]
    found = read([3, 4], [[-1, 5, -1, 6, 7], [8, -1, -1, -1, -1]], [[-1], [2]], words)
    assert found["likes"] == [[5, 6, 8], [0, 0, 1], [5, 6, 8]]
    assert found["genres"] == [[2], [1]]
    assert found["words"] == [[4, 5, 6, 8], [0, 1, 1, 2], [4, 5, 6, 8]]


@pytest.mark.parametrize("candidates", [1, 3], ids=["predict", "rank"])
def test_tags_that_are_padded_to_none_are_as_tags_that_are_all_missing(candidates):
    """K = 0: a client that pads to the most tags of a request sends this if no impression of it has a tag."""
    items = [3, 4] if candidates == 1 else [[3, 4, 5], [6, 7, 8]]
    shape = (2,) if candidates == 1 else (2, candidates)
    none = read(items, np.zeros((2, 0)), np.zeros((*shape, 0)), np.zeros((2, 3, 0)))
    padded = read(items, -np.ones((2, 4)), -np.ones((*shape, 1)), -np.ones((2, 3, 2)))
    assert none == padded == {"likes": [[], [], []], "genres": [[], []], "words": [[], [], []]}


def test_no_impressions_and_no_places():
    empty = tf.zeros([0, 0], tf.int64)
    assert [x.shape.as_list() for x in of_padded(empty, tf.zeros([0, 0]), -1, 3)] == [[0], [0], [0]]


def test_weights_are_bounded_as_those_of_tf_examples():
    weights = [[3e38, -3e38, float("nan"), 2.5]]
    padded = of_padded(tf.constant([[b"a", b"b", b"c", b""]]), tf.constant(weights), b"", 4)
    ragged = of_ragged(tf.ragged.constant([[b"a", b"b", b"c", b""]]), tf.ragged.constant(weights), b"", 4)
    for values, slots, own in (padded, ragged):
        assert values.numpy().tolist() == [b"a", b"b", b"c"] and slots.numpy().tolist() == [0, 0, 0]
        assert own.numpy().tolist() == [1e6, -1e6, 0.0]


@pytest.mark.parametrize(
    "name, shape, message",
    [
        ("words", (2, 2, 1), "words needs a value for each event of historical_item_ids"),
        ("words", (2, 4, 1), "words needs a value for each event of historical_item_ids"),
        ("word_weights", (2, 3, 2), "word_weights needs a value for each value of words"),
        ("like_weights", (2, 2), "like_weights needs a value for each value of likes"),
        ("like_weights", (2, 0), "like_weights needs a value for each value of likes"),
    ],
)
def test_what_belongs_together_has_one_shape(name, shape, message):
    """Surplus values would be left out in silence, and missing ones are an error without a name."""
    tensors = {**BASE, "candidate_item_id": tf.constant([3, 4], tf.int64), "genres": tf.ones([2, 1], tf.int64)}
    tensors |= {"likes": tf.ones([2, 1], tf.int64), "words": tf.ones([2, 3, 1], tf.int64)}
    tensors |= {"like_weights": tf.ones([2, 1]), "word_weights": tf.ones([2, 3, 1])}
    read_tensors(tensors, FEATURES)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        read_tensors({**tensors, name: tf.ones(shape, tensors[name].dtype)}, FEATURES)
