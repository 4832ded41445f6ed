"""The attention unit against loops over the events and against its textbook form, forward and gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from din_trainer.layers.attention_unit import AttentionUnit
from tests.din_trainer import textbook


def attention_by_loops(layer, query, keys, mask):
    """Equation 3, event by event, with the layer's own weights and inference statistics."""
    interest = np.zeros_like(query)
    for b, t in zip(*np.nonzero(mask), strict=True):
        interest[b] += textbook.attention_weight(layer, query[b], keys[b, t]) * keys[b, t]
    return interest


def flat(keys, mask):
    """Padded keys as the layer takes them."""
    return keys[mask], np.nonzero(mask)[0]


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    query, keys = rng.normal(size=(6, 4)).astype(np.float32), rng.normal(size=(6, 5, 4)).astype(np.float32)
    mask = np.arange(5) < np.array([5, 3, 1, 0, 2, 4])[:, None]
    return query, keys, mask


@pytest.fixture(params=[False, True], ids=["sum", "softmax"])
def softmax(request):
    return request.param


def make(inputs, **settings):
    query, keys, mask = inputs
    keras.utils.set_random_seed(1)
    layer = AttentionUnit((8, 3), **settings)
    layer(query, *flat(keys, mask), training=True)
    for activation in layer.activations:
        activation.alpha.assign(np.linspace(-0.5, 0.5, activation.alpha.shape[0]))
    return layer


def test_is_equation_3(inputs):
    query, keys, mask = inputs
    layer = make(inputs)
    np.testing.assert_allclose(layer(query, *flat(keys, mask)), attention_by_loops(layer, *inputs), rtol=1e-4, atol=1e-5)


def learn(layer):
    """Gives the kernel values as after training: at the start the rows of event fields are 0."""
    layer.kernel.assign(np.random.default_rng(4).normal(size=layer.kernel.shape, scale=0.3))


def test_event_fields_start_without_a_say_in_the_weights(inputs):
    """Their numbers are far larger than new embeddings."""
    kernels = []
    for fields in (None, (None, 2)):
        keras.utils.set_random_seed(3)
        layer = AttentionUnit((8, 3))
        layer.build((None, 4), (None, 4), (None,), fields)
        kernels.append(np.array(layer.kernel))
    assert kernels[1].shape == (18, 8) and not kernels[1][16:].any()
    assert (kernels[1][:16] != 0).all() and (np.abs(kernels[1][:16]) < np.sqrt(6 / (18 + 8))).all()  # Glorot's bound
    assert (kernels[0] != 0).all()


@pytest.mark.parametrize("with_gap", [False, True])
def test_agrees_with_the_textbook_forward_and_gradients(inputs, softmax, with_gap):
    query, keys, mask = (tf.constant(x) for x in inputs)
    gaps = tf.constant(np.random.default_rng(2).normal(size=(6, 5, 1)), tf.float32) if with_gap else None
    layer = AttentionUnit((8, 3), softmax=softmax)
    layer.build((None, 4), (None, 4), (None,), (None, 1) if with_gap else None)
    learn(layer)
    positions = tf.where(mask)
    dy = tf.constant(np.random.default_rng(3).normal(size=(6, 5 if with_gap else 4)), tf.float32)
    weights = [weight.value for weight in layer.trainable_weights]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([query, keys])
        fields = None if gaps is None else tf.gather_nd(gaps, positions)
        fast = layer(query, tf.gather_nd(keys, positions), positions[:, 0], fields, training=True)
        plain = textbook.attention(layer, query, keys, mask, gaps)
        fast_loss, plain_loss = tf.reduce_sum(fast * dy), tf.reduce_sum(plain * dy)
    np.testing.assert_allclose(fast, plain, atol=1e-5)
    sources = [query, keys, *weights]
    for got, expected in zip(tape.gradient(fast_loss, sources), tape.gradient(plain_loss, sources), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5 * max(1.0, np.abs(expected).max()))


def test_weights_are_not_normalised(inputs):
    """Two equal events weigh twice as much as one: the sum keeps the intensity of interest."""
    query, keys, _ = inputs
    layer = make(inputs)
    one, two = layer(query, keys[:, 0], np.arange(6)), layer(query, np.repeat(keys[:, 0], 2, axis=0), np.repeat(np.arange(6), 2))
    np.testing.assert_allclose(two, 2 * np.asarray(one), rtol=1e-5)


def test_n_candidates_of_a_history_are_n_impressions(inputs, softmax):
    """With further fields of the events, which are read and summed up with the keys."""
    _, keys, mask = inputs
    rng = np.random.default_rng(5)
    queries, fields = rng.normal(size=(6, 3, 4)).astype(np.float32), rng.normal(size=(*mask.shape, 2)).astype(np.float32)
    layer = AttentionUnit((8, 3), softmax=softmax)
    layer.build((None, 4), (None, 4), (None,), (None, 2))
    learn(layer)
    many = layer(queries, *flat(keys, mask), fields[mask])
    assert many.shape == (6, 3, 6)
    for n in range(3):
        np.testing.assert_allclose(many[:, n], layer(queries[:, n], *flat(keys, mask), fields[mask]), rtol=1e-4, atol=1e-6)
    assert layer.compute_output_shape((None, 3, 4), (None, 4), (None,), (None, 2)) == (None, 3, 6)


def test_softmax_normalises_them(inputs):
    query, keys, _ = inputs
    layer = make(inputs, softmax=True)
    np.testing.assert_allclose(layer(query, np.repeat(keys[:, 0], 2, axis=0), np.repeat(np.arange(6), 2)), keys[:, 0], rtol=1e-5)


def test_an_empty_history_is_the_zero_vector(inputs, softmax):
    query, keys, mask = inputs
    layer = make(inputs, softmax=softmax)
    assert not mask[3].any()
    interest = np.asarray(layer(query, *flat(keys, mask)))
    np.testing.assert_array_equal(interest[3], 0)
    assert (interest[[0, 1, 2, 4, 5]] != 0).all()


def test_config_round_trip():
    layer = AttentionUnit.from_config(AttentionUnit((8, 3), "prelu", softmax=True, name="a").get_config())
    assert (layer.hidden, layer.activation, layer.softmax, layer.name) == ((8, 3), "prelu", True, "a")


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"one size; received \(None, 4\) and \(None, 3\)"):
        AttentionUnit().build((None, 4), (None, 3))
    with pytest.raises(ValueError, match="needs a hidden layer"):
        AttentionUnit(())
