"""The layers of several labels against NumPy: shared bottom, MMoE, and ESMM's product."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from din_trainer.layers.esmm import product_logits
from din_trainer.layers.mmoe import MMoE
from din_trainer.layers.towers import SharedBottom

LABELS = ("click", "purchase")


def made(layer, width=6):
    """A layer with its weights made, and not zero."""
    layer.build((None, width))
    rng = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(scale=0.5, size=weight.shape))
    return layer


def inputs(rows=20, width=6):
    return np.random.default_rng(1).normal(size=(rows, width)).astype(np.float32)


def hidden(layer, x):
    """Dense layers with ReLU."""
    for dense in layer.dense:
        x = np.maximum(x @ dense.kernel.numpy() + dense.bias.numpy(), 0)
    return x


def tower_logit(tower, x):
    return (hidden(tower, x) @ tower.logit.kernel.numpy())[:, 0] + float(tower.logit_bias)


def test_labels_share_the_bottom_and_have_a_tower_each():
    layer, x = made(SharedBottom(LABELS, (5, 4), (3,), "relu", 0.0)), inputs()
    expected = np.stack([tower_logit(tower, hidden(layer, x)) for tower in layer.towers], axis=1)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)
    assert [tower.name for tower in layer.towers] == ["tower_click", "tower_purchase"]


def test_without_shared_layers_each_tower_reads_the_input():
    layer, x = made(SharedBottom(LABELS, (), (), "relu", 0.0)), inputs()
    expected = [x @ tower.logit.kernel.numpy()[:, 0] + float(tower.logit_bias) for tower in layer.towers]
    np.testing.assert_allclose(layer(x), np.stack(expected, axis=1), rtol=1e-4, atol=1e-5)
    assert layer.input_kernels() == [tower.logit.kernel for tower in layer.towers]


def test_mmoe_mixes_the_experts_for_each_label():
    """Ma et al., 2018: f^k(x) = Σ_i g^k(x)_i f_i(x) with g^k(x) = softmax(W_gk x), then the tower h^k."""
    layer, x = made(MMoE(LABELS, 3, (5, 4), (3,), "relu", 0.0)), inputs()
    experts = np.stack([hidden(expert, x) for expert in layer.experts])  # (3, B, 4)
    expected = []
    for gate, tower in zip(layer.gates, layer.towers, strict=True):
        scores = np.exp(x @ gate.kernel.numpy())
        mixture = np.einsum("be,ebu->bu", scores / scores.sum(axis=1, keepdims=True), experts)
        expected.append(tower_logit(tower, mixture))
    np.testing.assert_allclose(layer(x), np.stack(expected, axis=1), rtol=1e-4, atol=1e-5)
    assert not np.allclose(expected[0], expected[1])


@pytest.mark.parametrize("layer", [SharedBottom(LABELS, (5,), (3,), "dice", 0.1), MMoE(LABELS, 2, (5,), (3,), "dice", 0.1)], ids=str)
def test_a_layer_is_the_same_after_saving(layer):
    again = type(layer).from_config(layer.get_config())
    made(layer), again.build((None, 6))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(inputs()), layer(inputs()))
    assert layer.compute_output_shape((None, 6)) == (None, 2)


def test_esmm_multiplies_probabilities():
    logits = np.random.default_rng(2).normal(scale=3, size=(50, 3)).astype(np.float32)
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    expected = np.column_stack([p[:, 0], p[:, 0] * p[:, 1], p[:, 0] * p[:, 2]])
    np.testing.assert_allclose(tf.sigmoid(product_logits(logits)), expected, rtol=1e-5)


@pytest.mark.parametrize("a", [-50.0, -5.0, 0.0, 50.0])
@pytest.mark.parametrize("b", [-50.0, -5.0, 0.0, 50.0])
def test_esmm_is_exact_for_extreme_logits(a, b):
    """log p − log(1 − p) with p = σ(a) σ(b), in 128 bits. p = 1 − 4e-22 would be 1 in float64, and its logit infinite."""
    e = np.longdouble
    odds_against = np.exp(e(-a)) + np.exp(e(-b)) + np.exp(e(-a) - e(b))  # 1/p − 1
    logits = keras.Variable([[a, b]])
    with tf.GradientTape() as tape:
        found = product_logits(logits)[0, 1]
    np.testing.assert_allclose(float(found), float(-np.log(odds_against)), rtol=1e-6)
    weights = [(np.exp(e(-a)) + np.exp(e(-a) - e(b))) / odds_against, (np.exp(e(-b)) + np.exp(e(-a) - e(b))) / odds_against]
    np.testing.assert_allclose(tape.gradient(found, logits.value)[0], np.array(weights, np.float64), rtol=1e-5, atol=1e-30)
