"""Dice against NumPy and against its textbook form, forward and gradients."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.layers.dice import Dice
from tests.din_trainer import textbook


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def dice(x, mean, variance, alpha=0.0, epsilon=1e-8):
    gate = sigmoid((x - mean) / np.sqrt(variance + epsilon))
    return gate * x + (1 - gate) * alpha * x


def test_training_uses_the_batch_a_channel_at_a_time():
    x = np.array([[1.0, 10.0], [3.0, -10.0]], np.float32)
    # channel 0: mean 2, variance 1; channel 1: mean 0, variance 100; so the normalised values are ±1
    expected = x * sigmoid(np.array([[-1.0, 1.0], [1.0, -1.0]]))
    np.testing.assert_allclose(Dice()(x, training=True), expected, rtol=1e-6)


def test_alpha_scales_what_the_gate_closes():
    layer = Dice()
    layer.build((None, 2))
    layer.alpha.assign([0.5, -0.25])
    x = np.array([[1.0, 10.0], [3.0, -10.0]], np.float32)
    expected = dice(x, x.mean(0), x.var(0), np.array([0.5, -0.25]))
    np.testing.assert_allclose(layer(x, training=True), expected, rtol=1e-6)


def test_agrees_with_the_textbook_forward_and_gradients():
    rng = np.random.default_rng(0)
    x, dy = (tf.constant(rng.normal(2, 3, (50, 7)), tf.float32) for _ in range(2))
    layer = Dice()
    layer.build((None, 7))
    layer.alpha.assign(rng.normal(size=7))
    alpha = layer.alpha.value
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        fast, plain = layer(x, training=True), textbook.dice(x, alpha)
        fast_loss, plain_loss = tf.reduce_sum(fast * dy), tf.reduce_sum(plain * dy)
    np.testing.assert_allclose(fast, plain, atol=1e-5)
    for got, expected in zip(tape.gradient(fast_loss, [x, alpha]), tape.gradient(plain_loss, [x, alpha]), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("sizes", [(20, 30), (50, 0), (1, 2, 3, 44)])
def test_parts_of_a_batch_give_what_the_whole_gives(sizes):
    """Also where the parts differ much, so that the means of the parts do, and where one is empty."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(2, 3, (50, 7)) + np.arange(50)[:, None], tf.float32)
    dy = tf.constant(rng.normal(size=(50, 7)), tf.float32)
    whole, in_parts = Dice(), Dice()
    for layer in (whole, in_parts):
        layer.build((None, 7))
        layer.alpha.assign(np.linspace(-1, 1, 7))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        expected = whole(x, training=True)
        y = tf.concat(in_parts(tf.split(x, sizes), training=True), 0)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(in_parts.moving, whole.moving, rtol=1e-5)
    for got, sources in ((y, [x, in_parts.alpha.value]), (expected, [x, whole.alpha.value])):
        alpha = sources[1]
        plain = tape.gradient(got, [x, alpha], dy)
        with tf.GradientTape() as textbook_tape:
            textbook_tape.watch([x, alpha])
            reference = textbook.dice(x, alpha)
        for gradient, correct in zip(plain, textbook_tape.gradient(reference, [x, alpha], dy), strict=True):
            np.testing.assert_allclose(gradient, correct, atol=1e-5 * np.abs(correct).max())
    inferred = in_parts(tf.split(x, sizes))
    np.testing.assert_allclose(tf.concat(inferred, 0), whole(x), rtol=1e-4, atol=1e-5)


def test_averages_are_bias_corrected():
    layer = Dice(momentum=0.9)
    batches = [np.array([[0.0], [2.0]], np.float32), np.array([[10.0], [16.0]], np.float32)]
    for batch in batches:
        layer(batch, training=True)
    # means 1 and 13, variances 1 and 9; the weights of an average with momentum 0.9 are 0.1·0.9 and 0.1, over their sum 0.19
    mean, variance = (0.09 * 1 + 0.1 * 13) / 0.19, (0.09 * 1 + 0.1 * 9) / 0.19
    np.testing.assert_allclose(layer.statistics(), [[mean], [variance]], rtol=1e-5)
    x = np.array([[-3.0], [5.0]], np.float32)
    np.testing.assert_allclose(layer(x), dice(x, mean, variance), rtol=1e-5)


def test_one_step_is_enough_for_training_and_inference_to_agree():
    x = np.random.default_rng(1).normal(3, 5, size=(64, 7)).astype(np.float32)
    layer = Dice()
    trained = layer(x, training=True)
    np.testing.assert_allclose(layer(x), trained, rtol=1e-4, atol=1e-6)


def test_untrained_it_normalises_nothing():
    x = np.array([[-1.0, 2.0]], np.float32)
    np.testing.assert_allclose(Dice()(x), x * sigmoid(x), rtol=1e-6)


def test_a_batch_without_any_event_changes_nothing():
    layer = Dice()
    layer(np.arange(6, dtype=np.float32).reshape(6, 1), training=True)
    before = [np.array(weight) for weight in layer.weights]
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(np.ones((0, 1), np.float32), training=True))
    np.testing.assert_array_equal(tape.gradient(y, layer.alpha.value), [0.0])
    for weight, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_config_round_trip():
    layer = Dice.from_config(Dice(momentum=0.5, epsilon=1e-3, name="d").get_config())
    assert (layer.momentum, layer.epsilon, layer.name) == (0.5, 1e-3, "d")


def test_bad_arguments():
    with pytest.raises(ValueError, match="momentum must be in"):
        Dice(momentum=1.0)
    for shape in ((None, None), (None, 3, 4)):
        with pytest.raises(ValueError, match="takes events without padding"):
            Dice().build(shape)
