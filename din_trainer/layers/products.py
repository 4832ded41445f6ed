"""The matrix products of hidden layers, of cross layers and of the attention unit, in the precision of the training step that is traced.

With `training.precision = "mixed_bfloat16"` a training step rounds the factors of these products to bfloat16, which has the range of
float32 and 8 instead of 24 bits. So a card can use its matrix units, and moves half of the bytes. All else stays float32: weights, tables,
moments, the sums of products, Dice and its statistics, pooling, logits and loss. At inference the products are of float32, too: validation,
exports and saved models do not know of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import tensorflow as tf

_factors: ContextVar[tf.DType] = ContextVar("factors", default=tf.float32)


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """While this is open, products have factors of a precision of `training.precision`."""
    token = _factors.set(tf.as_dtype(precision.removeprefix("mixed_")))
    try:
        yield
    finally:
        _factors.reset(token)


def product(x: Any, kernel: Any) -> Any:
    """(N, D) float32 · (D, units) float32 -> (N, units) float32."""
    factors = _factors.get()
    return tf.cast(tf.matmul(tf.cast(x, factors), tf.cast(kernel, factors)), tf.float32)


def product_and_bias(layer: keras.layers.Dense, x: Any) -> Any:
    """What a dense layer without an activation gives for x: (N, D) -> (N, units)."""
    return layer(x) if _factors.get() == tf.float32 else product(x, layer.kernel) + layer.bias
