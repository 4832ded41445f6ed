"""Small random batches of transformed features, and datasets of them."""

import numpy as np
import tensorflow as tf

SIZES = {"item": 30, "category": 9, "user_id": 12}  # rows of the embedding tables


def make_batch(rows, length=6, seed=0):
    """Features of some impressions, with histories of 0 to `length` events."""
    rng = np.random.default_rng(seed)
    real = np.arange(length) < rng.integers(0, length + 1, rows)[:, None]
    return {
        "user_id": rng.integers(1, 12, rows),
        "candidate_item_id": rng.integers(1, 30, rows),
        "candidate_category_id": rng.integers(1, 9, rows),
        "historical_item_ids": rng.integers(1, 30, (rows, length)) * real,
        "historical_category_ids": rng.integers(1, 9, (rows, length)) * real,
    }


def make_labels(rows, seed):
    """Labels that do not depend on the features."""
    return (np.random.default_rng(seed).random(rows) < 0.5).astype(np.int64)


def make_dataset(rows, seed, *weights, shuffle=None):
    """Batches of 64 impressions with their labels and, where given, weights."""
    data = tf.data.Dataset.from_tensor_slices((make_batch(rows, seed=seed), make_labels(rows, seed), *weights))
    return (data if shuffle is None else data.shuffle(rows, seed=shuffle)).batch(64)
