"""Shuffling block by block mixes well enough: a model learns from time-ordered data as well as with an exact permutation.

Which items are clicked drifts with time, and the model does not see the time. In the order of time it would end with what was clicked last.
"""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from din_trainer.training import input_pipeline
from din_trainer.training.input_pipeline import Split
from tests.sample_data import make_column, write_records

_SHARDS, _ROWS, _ITEMS = 60, 500, 40  # shards in the order of time, impressions in each
_AT_ONCE, _BLOCK = 16, 1024  # shards that are interleaved, impressions of a block: about a quarter and a thirtieth of all
_SEEDS = range(6)
_SPEC = {name: tf.io.FixedLenFeature([], tf.int64) for name in ("item", "label")}


def draw(rng, time):
    """Draws items and labels. Each item's appeal goes from one value to another, and clicks become frequent."""
    begin, end = np.random.default_rng(1).normal(0, 2, (2, _ITEMS))
    item = rng.integers(0, _ITEMS, len(time))
    logit = begin[item] * (1 - time) + end[item] * time + 2 * time - 1
    return item, (rng.random(len(time)) < 1 / (1 + np.exp(-logit))).astype(np.int64)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("drifting"), np.random.default_rng(2)
    item, label = draw(rng, np.linspace(0, 1, _SHARDS * _ROWS))
    columns = pa.RecordBatch.from_pydict({"item": make_column(item.tolist()), "label": make_column(label.tolist())})
    return [str(write_records(folder / f"{shard:02}", columns.slice(shard * _ROWS, _ROWS))) for shard in range(_SHARDS)]


def learnt_auc(split):
    """The AUC, over all times, of a logistic regression after one epoch of SGD."""
    weights = np.zeros(_ITEMS)
    for features, label in split.epoch().as_numpy_iterator():
        slope = label - 1 / (1 + np.exp(-weights[features["item"]]))
        np.add.at(weights, features["item"], 0.03 * slope)
    item, label = draw(np.random.default_rng(3), np.linspace(0, 1, 20_000))
    return roc_auc_score(label, weights[item])


def test_a_model_learns_as_well_block_by_block_as_with_an_exact_permutation(shards, monkeypatch):
    """Beyond `training.memory_mb`. The tolerance is two standard deviations of the exact permutation's AUC over its seeds."""
    monkeypatch.setattr(input_pipeline, "_INTERLEAVED", _AT_ONCE)
    monkeypatch.setattr(input_pipeline, "_PARSED", _BLOCK)

    def aucs(memory_mb, seeds):
        splits = [
            Split(shards, lambda serialized: tf.io.parse_example(serialized, _SPEC), 64, shuffle_seed=seed, memory_mb=memory_mb)
            for seed in seeds
        ]
        assert all(split.in_memory == (memory_mb > 1) for split in splits)
        return np.array([learnt_auc(split) for split in splits])

    exact, blocks, in_order = aucs(100, _SEEDS), aucs(1e-6, _SEEDS), aucs(100, [None])
    spread = exact.std(ddof=1)
    assert abs(blocks.mean() - exact.mean()) < 2 * spread
    assert in_order.mean() < exact.mean() - 10 * spread  # the order does matter here
