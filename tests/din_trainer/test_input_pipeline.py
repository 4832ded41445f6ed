"""Batches: nothing lost, order as promised."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.input_pipeline import make_dataset

SPEC = {
    "id": tf.io.FixedLenFeature([], tf.int64),
    "history": tf.io.FixedLenFeature([2], tf.int64),
    "label": tf.io.FixedLenFeature([], tf.int64),
}


def write(path, ids):
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for i in ids:
            values = {"id": [i], "history": [i, -i], "label": [i % 2]}
            features = {name: tf.train.Feature(int64_list=tf.train.Int64List(value=v)) for name, v in values.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return str(path)


def ids(dataset):
    return [list(features["id"].numpy()) for features, _ in dataset]


@pytest.fixture
def files(tmp_path):
    return [write(tmp_path / "a", range(7)), write(tmp_path / "b", range(7, 10))]


def test_keeps_the_order_without_a_seed(files):
    dataset = make_dataset(files, SPEC, 4)
    assert ids(dataset) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    features, labels = next(iter(dataset))
    np.testing.assert_array_equal(features["history"], [[0, 0], [1, -1], [2, -2], [3, -3]])
    np.testing.assert_array_equal(labels, [0, 1, 0, 1])


@pytest.mark.parametrize("deterministic", [False, True])
def test_shuffles_everything_anew_each_epoch(files, deterministic):
    dataset = make_dataset(files, SPEC, 4, shuffle_seed=1, deterministic=deterministic)
    first, second = ([i for batch in ids(dataset) for i in batch] for _ in range(2))
    assert first != second and first != list(range(10))
    assert sorted(first) == sorted(second) == list(range(10))


def test_deterministic_order_does_not_depend_on_the_files(files, tmp_path):
    other = [write(tmp_path / "c", [9, 2, 4, 6, 0, 1, 8, 3, 5, 7])]
    epochs = [
        [ids(dataset) for _ in range(2)]
        for dataset in (make_dataset(f, SPEC, 4, shuffle_seed=5, deterministic=True) for f in (files, other))
    ]
    assert epochs[0] == epochs[1]
