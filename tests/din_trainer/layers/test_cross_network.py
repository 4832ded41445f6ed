"""The cross network of DCN-v2 against its sums."""

import numpy as np

from din_trainer.layers.cross_network import CrossNetwork
from tests.din_trainer import textbook
from tests.transforming import with_large_weights


def make(width, layers):
    layer = CrossNetwork(width, layers)
    layer.build()
    return with_large_weights(layer)


def test_is_equation_1():
    layer, x = make(4, 3), np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(layer(x), [textbook.cross_network(layer, row) for row in x], rtol=1e-4)


def test_one_layer_by_hand():
    """x = (2, 3), W x + b = (2 + 2·3 + 1, 3·2 + 4·3 − 1) = (9, 17): x ⊙ (9, 17) + x = (20, 54)."""
    layer = CrossNetwork(2, 1)
    layer.build()
    layer.dense[0].kernel.assign([[1, 3], [2, 4]])
    layer.dense[0].bias.assign([1, -1])
    np.testing.assert_allclose(layer(np.array([[2.0, 3.0]])), [[20, 54]])


def test_config_round_trip():
    layer = CrossNetwork.from_config(CrossNetwork(7, 2, name="c").get_config())
    assert (layer.width, len(layer.dense), layer.name) == (7, 2, "c")
