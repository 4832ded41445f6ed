"""Dice and the attention unit against NumPy, and against their textbook forms, forward and gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from din_trainer.layers.activations import make_activation
from din_trainer.layers.attention_unit import AttentionUnit
from din_trainer.layers.dice import Dice
from din_trainer.layers.events import flatten_events, repeat_by_row, sum_by_row
from tests.din_trainer import textbook


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def dice(x, mean, variance, alpha=0.0, epsilon=1e-8):
    gate = sigmoid((x - mean) / np.sqrt(variance + epsilon))
    return gate * x + (1 - gate) * alpha * x


def test_events_are_what_is_not_padding_row_by_row():
    history = np.array([[7, 9, 0], [0, 0, 0], [5, 0, 0]])
    positions = flatten_events(history)
    np.testing.assert_array_equal(positions, [[0, 0], [0, 1], [2, 0]])
    np.testing.assert_array_equal(tf.gather_nd(history, positions), [7, 9, 5])


def test_rows_without_events_sum_to_zero():
    x, rows = tf.constant([[1.0], [2.0], [4.0]]), tf.constant([1, 1, 3])
    np.testing.assert_array_equal(sum_by_row(x, rows, 6), [[0], [3], [0], [4], [0], [0]])
    np.testing.assert_array_equal(sum_by_row(x[:0], rows[:0], 2), [[0], [0]])


def test_the_gradient_of_a_repeated_row_is_the_sum_over_its_events():
    x, rows = tf.constant([[1.0], [2.0], [3.0]]), tf.constant([0, 2, 2])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(repeat_by_row(x, rows) * [[1.0], [10.0], [100.0]])
    assert y == 1 + 30 + 300
    np.testing.assert_array_equal(tape.gradient(y, x), [[1], [0], [110]])


class TestDice:
    def test_training_uses_the_batch_a_channel_at_a_time(self):
        x = np.array([[1.0, 10.0], [3.0, -10.0]], np.float32)
        # channel 0: mean 2, variance 1; channel 1: mean 0, variance 100; so the normalised values are ±1
        expected = x * sigmoid(np.array([[-1.0, 1.0], [1.0, -1.0]]))
        np.testing.assert_allclose(Dice()(x, training=True), expected, rtol=1e-6)

    def test_alpha_scales_what_the_gate_closes(self):
        layer = Dice()
        layer.build((None, 2))
        layer.alpha.assign([0.5, -0.25])
        x = np.array([[1.0, 10.0], [3.0, -10.0]], np.float32)
        expected = dice(x, x.mean(0), x.var(0), np.array([0.5, -0.25]))
        np.testing.assert_allclose(layer(x, training=True), expected, rtol=1e-6)

    def test_agrees_with_the_textbook_forward_and_gradients(self):
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

    def test_averages_are_bias_corrected(self):
        layer = Dice(momentum=0.9)
        batches = [np.array([[0.0], [2.0]], np.float32), np.array([[10.0], [16.0]], np.float32)]
        for batch in batches:
            layer(batch, training=True)
        # means 1 and 13, variances 1 and 9; the weights of an average with momentum 0.9 are 0.1·0.9 and 0.1, over their sum 0.19
        mean, variance = (0.09 * 1 + 0.1 * 13) / 0.19, (0.09 * 1 + 0.1 * 9) / 0.19
        np.testing.assert_allclose(layer.statistics(), [[mean], [variance]], rtol=1e-5)
        x = np.array([[-3.0], [5.0]], np.float32)
        np.testing.assert_allclose(layer(x), dice(x, mean, variance), rtol=1e-5)

    def test_one_step_is_enough_for_training_and_inference_to_agree(self):
        x = np.random.default_rng(1).normal(3, 5, size=(64, 7)).astype(np.float32)
        layer = Dice()
        trained = layer(x, training=True)
        np.testing.assert_allclose(layer(x), trained, rtol=1e-4, atol=1e-6)

    def test_untrained_it_normalises_nothing(self):
        x = np.array([[-1.0, 2.0]], np.float32)
        np.testing.assert_allclose(Dice()(x), x * sigmoid(x), rtol=1e-6)

    def test_a_batch_without_any_event_changes_nothing(self):
        layer = Dice()
        layer(np.arange(6, dtype=np.float32).reshape(6, 1), training=True)
        before = [np.array(weight) for weight in layer.weights]
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(layer(np.ones((0, 1), np.float32), training=True))
        np.testing.assert_array_equal(tape.gradient(y, layer.alpha.value), [0.0])
        for weight, value in zip(layer.weights, before, strict=True):
            np.testing.assert_array_equal(weight, value)

    def test_config_round_trip(self):
        layer = Dice.from_config(Dice(momentum=0.5, epsilon=1e-3, name="d").get_config())
        assert (layer.momentum, layer.epsilon, layer.name) == (0.5, 1e-3, "d")

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match="momentum must be in"):
            Dice(momentum=1.0)
        for shape in ((None, None), (None, 3, 4)):
            with pytest.raises(ValueError, match="takes real positions"):
                Dice().build(shape)


def test_prelu_is_equation_8():
    layer = make_activation("prelu", "p")
    layer.build((None, 2))
    layer.alpha.assign([0.5, -0.25])
    np.testing.assert_allclose(layer(np.array([[-2.0, -4.0], [3.0, 5.0]], np.float32)), [[-1.0, 1.0], [3.0, 5.0]])


def attention_by_loops(layer, query, keys, mask):
    """Equation 3, event by event, with the layer's own weights and inference statistics."""
    interest = np.zeros_like(query)
    for b, t in zip(*np.nonzero(mask), strict=True):
        interest[b] += textbook.attention_weight(layer, query[b], keys[b, t]) * keys[b, t]
    return interest


def flat(keys, mask):
    """Padded keys as the layer takes them."""
    return keys[mask], np.nonzero(mask)[0]


class TestAttentionUnit:
    @pytest.fixture
    def inputs(self):
        rng = np.random.default_rng(0)
        query, keys = rng.normal(size=(6, 4)).astype(np.float32), rng.normal(size=(6, 5, 4)).astype(np.float32)
        mask = np.arange(5) < np.array([5, 3, 1, 0, 2, 4])[:, None]
        return query, keys, mask

    @pytest.fixture(params=[False, True], ids=["sum", "softmax"])
    def softmax(self, request):
        return request.param

    def make(self, inputs, **settings):
        query, keys, mask = inputs
        keras.utils.set_random_seed(1)
        layer = AttentionUnit((8, 3), **settings)
        layer(query, *flat(keys, mask), training=True)
        for activation in layer.activations:
            activation.alpha.assign(np.linspace(-0.5, 0.5, activation.alpha.shape[0]))
        return layer

    def test_is_equation_3(self, inputs):
        query, keys, mask = inputs
        layer = self.make(inputs)
        np.testing.assert_allclose(layer(query, *flat(keys, mask)), attention_by_loops(layer, *inputs), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("with_gap", [False, True])
    def test_agrees_with_the_textbook_forward_and_gradients(self, inputs, softmax, with_gap):
        query, keys, mask = (tf.constant(x) for x in inputs)
        gaps = tf.constant(np.random.default_rng(2).normal(size=(6, 5, 1)), tf.float32) if with_gap else None
        layer = AttentionUnit((8, 3), softmax=softmax)
        layer.build((None, 4), (None, 4), (None,), (None, 1) if with_gap else None)
        positions = tf.where(mask)
        dy = tf.constant(np.random.default_rng(3).normal(size=(6, 4)), tf.float32)
        weights = [weight.value for weight in layer.trainable_weights]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([query, keys])
            event_numbers = None if gaps is None else tf.gather_nd(gaps, positions)
            fast = layer(query, tf.gather_nd(keys, positions), positions[:, 0], event_numbers, training=True)
            plain = textbook.attention(layer, query, keys, mask, gaps)
            fast_loss, plain_loss = tf.reduce_sum(fast * dy), tf.reduce_sum(plain * dy)
        np.testing.assert_allclose(fast, plain, atol=1e-5)
        sources = [query, keys, *weights]
        for got, expected in zip(tape.gradient(fast_loss, sources), tape.gradient(plain_loss, sources), strict=True):
            np.testing.assert_allclose(got, expected, atol=1e-5 * max(1.0, np.abs(expected).max()))

    def test_weights_are_not_normalised(self, inputs):
        """Two equal events weigh twice as much as one: the sum keeps the intensity of interest."""
        query, keys, _ = inputs
        layer = self.make(inputs)
        one, two = layer(query, keys[:, 0], np.arange(6)), layer(query, np.repeat(keys[:, 0], 2, axis=0), np.repeat(np.arange(6), 2))
        np.testing.assert_allclose(two, 2 * np.asarray(one), rtol=1e-5)

    def test_softmax_normalises_them(self, inputs):
        query, keys, _ = inputs
        layer = self.make(inputs, softmax=True)
        np.testing.assert_allclose(layer(query, np.repeat(keys[:, 0], 2, axis=0), np.repeat(np.arange(6), 2)), keys[:, 0], rtol=1e-5)

    def test_an_empty_history_is_the_zero_vector(self, inputs, softmax):
        query, keys, mask = inputs
        layer = self.make(inputs, softmax=softmax)
        assert not mask[3].any()
        interest = np.asarray(layer(query, *flat(keys, mask)))
        np.testing.assert_array_equal(interest[3], 0)
        assert (interest[[0, 1, 2, 4, 5]] != 0).all()

    def test_config_round_trip(self):
        layer = AttentionUnit.from_config(AttentionUnit((8, 3), "prelu", softmax=True, name="a").get_config())
        assert (layer.hidden, layer.activation, layer.softmax, layer.name) == ((8, 3), "prelu", True, "a")

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match=r"one size; received \(None, 4\) and \(None, 3\)"):
            AttentionUnit().build((None, 4), (None, 3))
        with pytest.raises(ValueError, match="needs a hidden layer"):
            AttentionUnit(())
