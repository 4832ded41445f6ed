"""The matrix products of a training step in bfloat16, by NumPy."""

import keras
import ml_dtypes
import numpy as np
import pytest

from din_trainer.layers.products import product, product_and_bias, products_in


@pytest.fixture
def factors():
    rng = np.random.default_rng(0)
    return rng.normal(size=(50, 20)).astype(np.float32), rng.normal(size=(20, 7)).astype(np.float32)


def rounded(x):
    return x.astype(ml_dtypes.bfloat16).astype(np.float64)


def test_factors_and_product_are_rounded_to_bfloat16(factors):
    """bfloat16 has 8 bits: rounding changes a number by at most 2⁻⁸ of it, and the sums within a product are more exact than that."""
    x, kernel = factors
    with products_in("mixed_bfloat16"):
        y = product(x, kernel).numpy()
    exact = rounded(x) @ rounded(kernel)
    assert y.dtype == np.float32 and np.abs(y - x @ kernel).max() > 1e-3
    np.testing.assert_allclose(y, exact, rtol=2**-8, atol=1e-2)
    np.testing.assert_array_equal(y, rounded(y))


def test_float32_is_the_plain_product_also_after_a_mixed_step(factors):
    x, kernel = factors
    with products_in("mixed_bfloat16"), products_in("float32"):
        within = product(x, kernel).numpy()
    np.testing.assert_array_equal(within, product(x, kernel))
    np.testing.assert_allclose(within, x @ kernel, rtol=1e-5, atol=1e-5)


def test_a_bias_is_added_in_float32(factors):
    x, kernel = factors
    layer = keras.layers.Dense(7)
    layer.build((None, 20))
    layer.kernel.assign(kernel)
    layer.bias.assign(np.linspace(100.001, 100.007, 7))  # bfloat16 knows 100 and 100.5
    with products_in("mixed_bfloat16"):
        np.testing.assert_allclose(product_and_bias(layer, x) - layer.bias, product(x, kernel), atol=1e-4)
    np.testing.assert_array_equal(product_and_bias(layer, x), layer(x))
