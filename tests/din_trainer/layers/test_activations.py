"""Activations by name."""

import numpy as np

from din_trainer.layers.activations import make_activation


def test_prelu_is_equation_8():
    layer = make_activation("prelu", "p")
    layer.build((None, 2))
    layer.alpha.assign([0.5, -0.25])
    np.testing.assert_allclose(layer(np.array([[-2.0, -4.0], [3.0, 5.0]], np.float32)), [[-1.0, 1.0], [3.0, 5.0]])
