"""Dice and the attention unit against NumPy."""

import keras
import numpy as np
import pytest

from din_trainer.layers import AttentionUnit, Dice


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def dice(x, mean, variance, alpha=0.0, epsilon=1e-8):
    gate = sigmoid((x - mean) / np.sqrt(variance + epsilon))
    return gate * x + (1 - gate) * alpha * x


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

    def test_padding_is_in_no_statistic(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(4, 3, 5)).astype(np.float32)
        mask = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]], bool)
        real = x[mask]
        layer = Dice()
        y = np.asarray(layer(x, mask=mask, training=True))
        np.testing.assert_allclose(y[mask], dice(real, real.mean(0), real.var(0)), rtol=1e-5, atol=1e-6)
        x[~mask] = 1e6
        other = Dice()
        np.testing.assert_array_equal(np.asarray(other(x, mask=mask, training=True))[mask], y[mask])
        np.testing.assert_array_equal(other.moving_variance, layer.moving_variance)

    def test_averages_are_bias_corrected(self):
        layer = Dice(momentum=0.9)
        batches = [np.array([[0.0], [2.0]], np.float32), np.array([[10.0], [16.0]], np.float32)]
        for batch in batches:
            layer(batch, training=True)
        # means 1 and 13, variances 1 and 9; the weights of an average with momentum 0.9 are 0.1·0.9 and 0.1, over their sum 0.19
        mean, variance = (0.09 * 1 + 0.1 * 13) / 0.19, (0.09 * 1 + 0.1 * 9) / 0.19
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

    def test_a_batch_of_padding_alone_changes_nothing(self):
        layer = Dice()
        layer(np.ones((2, 3, 1), np.float32) * 4, training=True)
        before = [np.array(weight) for weight in layer.weights]
        y = layer(np.ones((2, 3, 1), np.float32), mask=np.zeros((2, 3), bool), training=True)
        assert np.isfinite(y).all()
        for weight, value in zip(layer.weights, before, strict=True):
            np.testing.assert_array_equal(weight, value)

    def test_config_round_trip(self):
        layer = Dice.from_config(Dice(momentum=0.5, epsilon=1e-3, name="d").get_config())
        assert (layer.momentum, layer.epsilon, layer.name) == (0.5, 1e-3, "d")

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match="momentum must be in"):
            Dice(momentum=1.0)
        with pytest.raises(ValueError, match="known last dimension"):
            Dice().build((None, None))


def attention_by_loops(layer, query, keys, mask):
    """Equation 3, event by event, with the layer's own weights and inference statistics."""
    interest = np.zeros_like(query)
    for b in range(len(query)):
        for t in range(keys.shape[1]):
            if not mask[b, t]:
                continue
            q, k = query[b], keys[b, t]
            x = np.concatenate([q, k, q - k, q * k])
            for dense, activation in zip(layer.dense, layer.activations, strict=True):
                x = x @ np.array(dense.kernel) + np.array(dense.bias)
                weight = float(activation.moving_weight)
                mean, variance = np.array(activation.moving_mean) / weight, np.array(activation.moving_variance) / weight
                x = dice(x, mean, variance, np.array(activation.alpha))
            score = x @ np.array(layer.score.kernel)[:, 0] + float(layer.score.bias[0])
            interest[b] += score * k
    return interest


class TestAttentionUnit:
    @pytest.fixture
    def inputs(self):
        rng = np.random.default_rng(0)
        query, keys = rng.normal(size=(6, 4)).astype(np.float32), rng.normal(size=(6, 5, 4)).astype(np.float32)
        mask = np.arange(5) < np.array([5, 3, 1, 0, 2, 4])[:, None]
        return query, keys, mask

    @pytest.fixture
    def layer(self, inputs):
        layer = AttentionUnit((8, 3))
        layer(*inputs, training=True)
        for activation in layer.activations:
            activation.alpha.assign(np.linspace(-0.5, 0.5, activation.alpha.shape[0]))
        return layer

    def test_is_equation_3(self, layer, inputs):
        np.testing.assert_allclose(layer(*inputs), attention_by_loops(layer, *inputs), rtol=1e-4, atol=1e-5)

    def test_weights_are_not_normalised(self, layer, inputs):
        """Two equal events weigh twice as much as one: the sum keeps the intensity of interest."""
        query, keys, _ = inputs
        twice = np.concatenate([keys[:, :1], keys[:, :1]], axis=1)
        one = layer(query, keys[:, :1], np.ones((6, 1), bool))
        two = layer(query, twice, np.ones((6, 2), bool))
        np.testing.assert_allclose(two, 2 * np.asarray(one), rtol=1e-5)

    def test_an_empty_history_is_the_zero_vector(self, layer, inputs):
        assert not inputs[2][3].any()
        np.testing.assert_array_equal(np.asarray(layer(*inputs))[3], 0)

    def test_padding_does_not_matter(self, layer, inputs):
        query, keys, mask = inputs
        wider = np.concatenate([np.where(mask[..., None], keys, 77.0), np.full((6, 9, 4), -5, np.float32)], axis=1).astype(np.float32)
        np.testing.assert_allclose(layer(query, wider, np.pad(mask, ((0, 0), (0, 9)))), layer(*inputs), rtol=1e-5, atol=1e-6)

    def test_saves_and_reloads(self, layer, inputs, tmp_path):
        query, keys, mask = (keras.Input(shape=x.shape[1:], dtype=x.dtype.name) for x in inputs)
        model = keras.Model([query, keys, mask], layer(query, keys, mask))
        model.save(tmp_path / "m.keras")
        np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.keras")(list(inputs)), model(list(inputs)))

    def test_sizes_must_agree(self):
        with pytest.raises(ValueError, match=r"one size; received \(None, 4\) and \(None, 5, 3\)"):
            AttentionUnit().build((None, 4), (None, 5, 3))
