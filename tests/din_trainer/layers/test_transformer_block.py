"""BST's Transformer block against NumPy, history by history."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from din_trainer.layers.transformer_block import TransformerBlock
from tests.din_trainer import textbook
from tests.transforming import with_large_weights

MASK = np.arange(5) < np.array([5, 3, 1, 0, 2, 4])[:, None]  # the events of six histories


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return tuple(rng.normal(size=shape).astype(np.float32) for shape in ((6, 3, 4), (6, 5, 4), (6, 5, 2)))


def make(fields=None, length=3, dropout=0.0):
    layer = TransformerBlock(length, dropout)
    layer.build((None, 4), (None, 4), (None,), fields and (None, fields))
    return with_large_weights(layer)


def flat(x):
    return x[MASK]


ROWS = np.nonzero(MASK)[0]


@pytest.mark.parametrize("with_fields", [True, False])
def test_is_attention_of_the_candidate_over_its_history(data, with_fields):
    """Histories of 0 to 5 events, of which 3 have positions of their own; three candidates each, or one."""
    queries, keys, fields = data
    layer = make(2 if with_fields else None)
    events = np.concatenate([keys, fields], axis=2) if with_fields else keys
    expected = [[textbook.transformer(layer, query, events[b][MASK[b]]) for query in queries[b]] for b in range(6)]
    rest = [flat(fields)] if with_fields else []
    np.testing.assert_allclose(layer(queries, flat(keys), ROWS, *rest), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(layer(queries[:, 0], flat(keys), ROWS, *rest), np.array(expected)[:, 0], rtol=1e-3, atol=1e-4)


def test_the_order_of_events_matters_and_those_of_other_histories_do_not(data):
    queries, keys, _ = data
    layer = make(length=5)
    turned = keys.copy()
    turned[0] = keys[0, ::-1]
    changed = np.abs(layer(queries, flat(turned), ROWS) - layer(queries, flat(keys), ROWS)).max(axis=(1, 2))
    assert changed[0] > 1e-3
    np.testing.assert_allclose(changed[1:], 0, atol=1e-6)


def test_no_events_at_all(data):
    queries, keys, _ = data
    layer = make()
    expected = [textbook.transformer(layer, query, keys[0, :0]) for query in queries[:, 0]]
    np.testing.assert_allclose(layer(queries[:, 0], keys[0, :0], ROWS[:0]), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(None, 4), (None, None, 4)])
def test_is_traced_for_any_number_of_rows(data, shape):
    """As in an exported model."""
    queries, keys, _ = data
    layer = make()
    specs = [tf.TensorSpec(shape, tf.float32), tf.TensorSpec((None, 4), tf.float32), tf.TensorSpec((None,), tf.int64)]
    traced = tf.function(lambda *inputs: layer(*inputs), input_signature=specs)
    query = queries if len(shape) == 3 else queries[:, 0]
    np.testing.assert_allclose(traced(query, flat(keys), ROWS), layer(query, flat(keys), ROWS), rtol=1e-4, atol=1e-6)


def test_dropout_is_for_training_alone(data):
    queries, keys, _ = data
    layer = make(dropout=0.5)
    first, second = (np.asarray(layer(queries, flat(keys), ROWS, training=True)) for _ in range(2))
    assert (first != second).any()
    np.testing.assert_allclose(layer(queries, flat(keys), ROWS), make()(queries, flat(keys), ROWS), rtol=1e-4, atol=1e-6)


def test_config_round_trip():
    layer = TransformerBlock.from_config(TransformerBlock(7, 0.2, name="t").get_config())
    assert (layer.length, layer.dropout, layer.name) == (7, 0.2, "t")
    assert keras.saving.get_registered_name(TransformerBlock) == "din_trainer>TransformerBlock"
