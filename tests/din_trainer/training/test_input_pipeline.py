"""Batches hold every example once, in the promised order."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.training.input_pipeline import Split

SPEC = {
    "id": tf.io.FixedLenFeature([], tf.int64),
    "history": tf.io.FixedLenFeature([2], tf.int64),
    "label": tf.io.FixedLenFeature([], tf.int64),
}
WEIGHTED = {**SPEC, "sample_weight": tf.io.FixedLenFeature([], tf.float32)}


def write(path, ids):
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for i in ids:
            values = {"id": [i], "history": [i, -i], "label": [i % 2]}
            features = {name: tf.train.Feature(int64_list=tf.train.Int64List(value=v)) for name, v in values.items()}
            features["sample_weight"] = tf.train.Feature(float_list=tf.train.FloatList(value=[i / 2]))
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return str(path)


def ids(dataset):
    return [batch[0]["id"].numpy().tolist() for batch in dataset]


def flat(dataset):
    return [i for batch in ids(dataset) for i in batch]


@pytest.fixture
def files(tmp_path):
    return [write(tmp_path / "a", range(7)), write(tmp_path / "b", range(7, 10))]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return write(tmp_path_factory.mktemp("many") / "a", range(2000))


def test_keeps_the_order_without_a_seed(files):
    dataset = Split(files, SPEC, 4).epoch()
    assert ids(dataset) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    features, labels = next(iter(dataset))
    assert set(features) == {"id", "history"}
    np.testing.assert_array_equal(features["history"], [[0, 0], [1, -1], [2, -2], [3, -3]])
    np.testing.assert_array_equal(labels, [0, 1, 0, 1])


def test_weights_come_third(files):
    features, _, weights = next(iter(Split(files, WEIGHTED, 4).epoch()))
    assert set(features) == {"id", "history"}
    np.testing.assert_array_equal(weights, [0, 0.5, 1, 1.5])


@pytest.mark.parametrize("deterministic", [False, True])
def test_shuffles_anew_each_epoch_and_loses_nothing(files, deterministic):
    split = Split(files, SPEC, 4, shuffle_seed=3, deterministic=deterministic)
    epochs = [flat(split.epoch(number)) for number in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize("negative_rate", [1.0, 0.4])
@pytest.mark.parametrize("deterministic", [False, True])
def test_an_epoch_is_the_same_each_time_and_continues_where_it_stopped(many, deterministic, negative_rate):
    def split():
        return Split([many], SPEC, 64, shuffle_seed=3, negative_rate=negative_rate, deterministic=deterministic)

    whole = ids(split().epoch(1))
    assert ids(split().epoch(1)) == whole
    assert ids(split().epoch(1).skip(5)) == whole[5:]


def test_deterministic_order_does_not_depend_on_the_files(files, tmp_path):
    other = [write(tmp_path / "c", [9, 1, 5, 3]), write(tmp_path / "d", [8, 0, 2, 4, 6, 7])]
    first, second = (flat(Split(names, SPEC, 4, shuffle_seed=3, deterministic=True).epoch()) for names in (files, other))
    assert first == second


@pytest.mark.parametrize("deterministic", [False, True])
def test_keeps_positives_and_a_share_of_the_negatives(many, deterministic):
    split = Split([many], SPEC, 64, shuffle_seed=3, negative_rate=0.25, deterministic=deterministic)
    first, second = (flat(split.epoch(number)) for number in (0, 1))
    for epoch in (first, second):
        assert sorted(i for i in epoch if i % 2) == list(range(1, 2000, 2))
        negatives = {i for i in epoch if i % 2 == 0}
        assert len(negatives) == pytest.approx(250, abs=5 * np.sqrt(1000 * 0.25 * 0.75))  # five standard deviations
    assert set(first) != set(second)  # drawn anew
    sizes = [len(batch) for batch in ids(split.epoch())]
    assert set(sizes[:-1]) == {64} and 0 < sizes[-1] <= 64
