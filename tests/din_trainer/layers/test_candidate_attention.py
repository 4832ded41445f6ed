"""N candidates that share a history are scored as N impressions are, in chunks of any size."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from din_trainer.layers import candidate_attention
from din_trainer.layers.attention_unit import AttentionUnit
from tests.din_trainer import textbook

B, N, D, X = 5, 7, 4, 2
LENGTHS = np.array([3, 0, 6, 1, 0])  # two empty histories, the last one among them
ROWS = np.repeat(np.arange(B), LENGTHS)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    shapes = (B, N, D), (len(ROWS), D), (len(ROWS), X)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]  # candidates, keys, fields of the events


def make(hidden=(8, 3), activation="dice", softmax=False, fields=X):
    layer = AttentionUnit(hidden, activation, softmax)
    layer.build((None, D), (None, D), (None,), (None, fields) if fields else None)
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        values = rng.normal(size=weight.shape)
        weight.assign(values * 0.3 if weight.trainable else values**2 + 0.1)
    return layer


@pytest.mark.parametrize("at_once", [1, 16, 2_000])
@pytest.mark.parametrize("softmax", [False, True])
def test_is_equation_3_of_each_pair(monkeypatch, arrays, at_once, softmax):
    """One event at once (fewer pairs than candidates), two events, which cut a history in the middle, and all pairs."""
    monkeypatch.setattr(candidate_attention, "PAIRS_AT_ONCE", at_once)
    query, keys, fields = arrays
    layer = make(softmax=softmax)
    expected = np.zeros((B, N, D + X))
    for b in range(B):
        for n in range(N):
            weights = np.array([textbook.attention_weight(layer, query[b, n], keys[e], fields[e]) for e in np.flatnonzero(b == ROWS)])
            if softmax and len(weights):
                weights = np.exp(weights) / np.exp(weights).sum()
            for weight, e in zip(weights, np.flatnonzero(b == ROWS), strict=True):
                expected[b, n] += weight * np.concatenate([keys[e], fields[e]])
    np.testing.assert_allclose(layer(query, keys, ROWS, fields), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("hidden", [(8,), (8, 5, 3)], ids=str)
@pytest.mark.parametrize("activation", ["dice", "prelu", "relu"])
@pytest.mark.parametrize("fields", [0, X])
def test_n_candidates_are_n_impressions(monkeypatch, arrays, hidden, activation, fields):
    monkeypatch.setattr(candidate_attention, "PAIRS_AT_ONCE", 16)
    query, keys, of_events = arrays
    layer, rest = make(hidden, activation, fields=fields), (keys, ROWS, *([of_events] if fields else []))
    many = layer(query, *rest)
    for n in range(N):
        np.testing.assert_allclose(many[:, n], layer(query[:, n], *rest), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("impressions", "candidates", "events"), [(0, N, 0), (B, 0, len(ROWS)), (B, N, 0), (1, 1, 0)])
def test_nothing_to_score_gives_zeros_of_the_right_shape(arrays, impressions, candidates, events):
    """In a graph that does not know the sizes, as in an export: no impressions, no candidates, only empty histories."""
    query, keys, _ = arrays
    layer = make(fields=0)
    graph = tf.function(
        layer.call,
        [tf.TensorSpec([None, None, D]), tf.TensorSpec([None, D]), tf.TensorSpec([None], tf.int64)],
        autograph=False,
    )
    found = graph(query[:impressions, :candidates], keys[:events], ROWS[:events])
    assert found.shape == (impressions, candidates, D)
    if not events:
        np.testing.assert_array_equal(found, 0)
    whole = graph(query, keys, ROWS)
    np.testing.assert_allclose(whole, layer(query, keys, ROWS), atol=1e-6)
    assert keras.ops.any(whole != 0)
