"""Batches hold every example once, in the promised order, from memory and block by block."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.training.input_pipeline import Split

SPEC = {
    "id": tf.io.FixedLenFeature([], tf.int64),
    "history": tf.io.FixedLenFeature([2], tf.int64),
    "label": tf.io.FixedLenFeature([], tf.int64),
}
TWO_LABELS = {**SPEC, "purchase": tf.io.FixedLenFeature([], tf.int64)}
WEIGHTED = {**SPEC, "sample_weight": tf.io.FixedLenFeature([], tf.float32)}
BOTH = pytest.mark.parametrize("memory_mb", [100, 1e-6], ids=["from memory", "block by block"])


def reader(spec):
    return lambda serialized: tf.io.parse_example(serialized, spec)


def make_split(files, batch_size, memory_mb, spec=SPEC, **settings):
    split = Split(files, reader(spec), batch_size, memory_mb=memory_mb, **settings)
    assert split.in_memory == (memory_mb > 1)
    return split


def write(path, ids):
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for i in ids:
            values = {"id": [i], "history": [i, -i], "label": [i % 2], "purchase": [int(i % 3 == 0)]}
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
    folder = tmp_path_factory.mktemp("many")
    return [write(folder / f"{shard:02}", range(shard * 500, shard * 500 + 500)) for shard in range(40)]


@BOTH
def test_keeps_the_order_without_a_seed(files, memory_mb):
    dataset = make_split(files, 4, memory_mb).epoch()
    assert ids(dataset) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    features, labels = next(iter(dataset))
    assert set(features) == {"id", "history"}
    np.testing.assert_array_equal(features["history"], [[0, 0], [1, -1], [2, -2], [3, -3]])
    np.testing.assert_array_equal(labels, [0, 1, 0, 1])


@BOTH
def test_a_split_that_does_not_fit_into_memory_is_named(files, memory_mb, caplog):
    """A run says on the terminal that it reads a large split anew in each epoch."""
    folder = Path(files[0]).parent.name
    with caplog.at_level("WARNING", "din_trainer.progress"):
        make_split(files, 4, memory_mb)
    said = f"{folder}/ takes more than training.memory_mb (1e-06 MB): each epoch reads it anew, block by block"
    assert caplog.messages == ([] if memory_mb > 1 else [said])


@BOTH
def test_weights_come_third(files, memory_mb):
    features, _, weights = next(iter(make_split(files, 4, memory_mb, WEIGHTED).epoch()))
    assert set(features) == {"id", "history"}
    np.testing.assert_array_equal(weights, [0, 0.5, 1, 1.5])


@BOTH
def test_several_labels_stand_side_by_side(files, memory_mb):
    """The first is the column `label`, whatever its name; the features have none of them."""
    split = make_split(files, 4, memory_mb, {**TWO_LABELS, **WEIGHTED}, labels=["click", "purchase"])
    features, labels, weights = next(iter(split.epoch()))
    assert set(features) == {"id", "history"} and labels.dtype == tf.int64
    np.testing.assert_array_equal(labels, [[0, 1], [1, 0], [0, 0], [1, 1]])
    np.testing.assert_array_equal(weights, [0, 0.5, 1, 1.5])


@BOTH
def test_the_first_label_decides_what_is_sampled(many, memory_mb):
    split = make_split(many[:2], 64, memory_mb, TWO_LABELS, shuffle_seed=3, negative_rate=0.1, labels=["click", "purchase"])
    found = np.concatenate([np.column_stack([batch["id"], labels]) for batch, labels in split.epoch()])
    np.testing.assert_array_equal(found[:, 1:], np.column_stack([found[:, 0] % 2, found[:, 0] % 3 == 0]))
    assert sorted(found[found[:, 1] == 1, 0]) == list(range(1, 1000, 2))
    assert (found[:, 1] == 0).sum() == pytest.approx(50, abs=5 * np.sqrt(500 * 0.1 * 0.9))  # five standard deviations


@BOTH
def test_shuffles_anew_each_epoch_and_loses_nothing(files, memory_mb):
    split = make_split(files, 4, memory_mb, shuffle_seed=3)
    epochs = [flat(split.epoch(number)) for number in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


@BOTH
@pytest.mark.parametrize("negative_rate", [1.0, 0.4])
def test_an_epoch_is_the_same_each_time_and_continues_where_it_stopped(many, memory_mb, negative_rate):
    def split():
        return make_split(many[:4], 64, memory_mb, shuffle_seed=3, negative_rate=negative_rate)

    whole = ids(split().epoch(1))
    assert ids(split().epoch(1)) == whole
    assert ids(split().epoch(1).skip(5)) == whole[5:]


@BOTH
def test_keeps_positives_and_a_share_of_the_negatives(many, memory_mb):
    split = make_split(many[:4], 64, memory_mb, shuffle_seed=3, negative_rate=0.25)
    first, second = (flat(split.epoch(number)) for number in (0, 1))
    for epoch in (first, second):
        assert sorted(i for i in epoch if i % 2) == list(range(1, 2000, 2))
        negatives = [i for i in epoch if i % 2 == 0]
        assert len(set(negatives)) == len(negatives)
        assert len(negatives) == pytest.approx(250, abs=5 * np.sqrt(1000 * 0.25 * 0.75))  # five standard deviations
    assert set(first) != set(second)  # drawn anew
    sizes = [len(batch) for batch in ids(split.epoch())]
    assert set(sizes[:-1]) == {64} and 0 < sizes[-1] <= 64


@BOTH
def test_batches_of_data_in_order_of_time_are_mixed(many, memory_mb):
    """Each batch's mean time is near that of all: for a random draw it has a standard deviation of 0.29 / sqrt(256)."""
    batches = ids(make_split(many, 256, memory_mb, shuffle_seed=5).epoch())[:-1]
    times = np.array([np.mean(batch) for batch in batches]) / 20_000
    random = np.sqrt(1 / 12 / 256)
    assert np.abs(times - 0.5).max() < 5 * random
    # Neighbours of a batch are not neighbours in time: the mean step is that of random pairs, a third.
    steps = np.abs(np.diff([i for batch in batches for i in batch])) / 20_000
    assert np.mean(steps) == pytest.approx(1 / 3, abs=0.01)
