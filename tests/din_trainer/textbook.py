"""The paper's equations in their plain form: padded, tiled, concatenated, with automatic gradients. The fast forms must agree with them."""

import numpy as np
import tensorflow as tf


def dice(x, alpha, mask=None, epsilon=1e-8):
    """Equation 9 in training: (…, D) with a mask (…) of the positions that count in the statistics."""
    mask = tf.ones(tf.shape(x)[:-1], x.dtype) if mask is None else tf.cast(mask, x.dtype)
    weight, axes = mask[..., None], list(range(len(x.shape) - 1))
    mean = tf.reduce_sum(x * weight, axes) / tf.reduce_sum(weight)
    variance = tf.reduce_sum((x - mean) ** 2 * weight, axes) / tf.reduce_sum(weight)
    p = tf.sigmoid((x - mean) / tf.sqrt(variance + epsilon))
    return p * x + (1 - p) * alpha * x


def attention(layer, query, keys, mask, event_numbers=None):
    """Equation 3 in training: query (B, D), keys (B, L, D), mask (B, L), event_numbers (B, L, X), with a layer's weights -> (B, D)."""
    tiled = tf.repeat(query[:, None], keys.shape[1], axis=1)
    x = tf.concat([tiled, keys, tiled - keys, tiled * keys, *([] if event_numbers is None else [event_numbers])], -1)
    kernels = [(layer.kernel.value, layer.bias.value), *((d.kernel.value, d.bias.value) for d in layer.dense)]
    for (kernel, bias), activation in zip(kernels, layer.activations, strict=True):
        x = dice(tf.einsum("blx,xh->blh", x, kernel) + bias, activation.alpha.value, mask)
    scores = tf.einsum("blx,xh->blh", x, layer.score.kernel.value)[..., 0] + layer.score_bias.value
    if layer.softmax:
        scores = tf.where(mask, scores, -1e30)
        scores = tf.where(tf.reduce_any(mask, 1, keepdims=True), tf.nn.softmax(scores), 0.0)
    return tf.einsum("bl,bld->bd", tf.where(mask, scores, 0.0), keys)


def attention_weight(layer, query, key, event_numbers=()):
    """Equation 3 at inference, in NumPy: the weight of one event, with a layer's weights; query (D,), key (D,), event_numbers (X,)."""
    x = np.concatenate([query, key, query - key, query * key, event_numbers])
    kernels = [(layer.kernel, layer.bias), *((dense.kernel, dense.bias) for dense in layer.dense)]
    for (kernel, bias), activation in zip(kernels, layer.activations, strict=True):
        x = x @ np.array(kernel) + np.array(bias)
        mean, variance = (np.array(value) for value in activation.statistics())
        p = 1 / (1 + np.exp(-(x - mean) / np.sqrt(variance + activation.epsilon)))
        x = p * x + (1 - p) * np.array(activation.alpha) * x
    return x @ np.array(layer.score.kernel)[:, 0] + float(layer.score_bias)
