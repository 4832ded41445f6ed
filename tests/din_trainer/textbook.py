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


def attention(layer, query, keys, mask, fields=None):
    """Equation 3 in training: query (B, D), keys (B, L, D), mask (B, L), fields (B, L, X), with a layer's weights -> (B, D + X)."""
    tiled = tf.repeat(query[:, None], keys.shape[1], axis=1)
    x = tf.concat([tiled, keys, tiled - keys, tiled * keys, *([] if fields is None else [fields])], -1)
    events = keys if fields is None else tf.concat([keys, fields], -1)
    kernels = [(layer.kernel.value, layer.bias.value), *((d.kernel.value, d.bias.value) for d in layer.dense)]
    for (kernel, bias), activation in zip(kernels, layer.activations, strict=True):
        x = dice(tf.einsum("blx,xh->blh", x, kernel) + bias, activation.alpha.value, mask)
    scores = tf.einsum("blx,xh->blh", x, layer.score.kernel.value)[..., 0] + layer.score_bias.value
    if layer.softmax:
        scores = tf.where(mask, scores, -1e30)
        scores = tf.where(tf.reduce_any(mask, 1, keepdims=True), tf.nn.softmax(scores), 0.0)
    return tf.einsum("bl,bld->bd", tf.where(mask, scores, 0.0), events)


def attention_weight(layer, query, key, fields=()):
    """Equation 3 at inference, in NumPy: the weight of one event, with a layer's weights; query (D,), key (D,), fields (X,)."""
    x = np.concatenate([query, key, query - key, query * key, fields])
    kernels = [(layer.kernel, layer.bias), *((dense.kernel, dense.bias) for dense in layer.dense)]
    for (kernel, bias), activation in zip(kernels, layer.activations, strict=True):
        x = x @ np.array(kernel) + np.array(bias)
        mean, variance = (np.array(value) for value in activation.statistics())
        p = 1 / (1 + np.exp(-(x - mean) / np.sqrt(variance + activation.epsilon)))
        x = p * x + (1 - p) * np.array(activation.alpha) * x
    return x @ np.array(layer.score.kernel)[:, 0] + float(layer.score_bias)


def pooled(table, ids, weights, combine):
    """The tags of one list as one vector, tag by tag: rows of a table (R, D), ids and weights (K,), id 0 is no tag."""
    real = [(table[i], w) for i, w in zip(ids, weights, strict=True) if i]
    total = sum((w * row for row, w in real), np.zeros(table.shape[1]))
    divisors = {"sum": 1.0, "mean": sum(w for _, w in real), "sqrtn": np.sqrt(sum(w * w for _, w in real))}
    return total / divisors[combine] if real else total


def cross_network(layer, x):
    """Equation 1 of DCN-v2 by its sums, product by product: x (width,), with a layer's weights."""
    first, width = x, len(x)
    for dense in layer.dense:
        kernel, bias = np.array(dense.kernel), np.array(dense.bias)
        x = np.array([first[i] * (sum(kernel[j, i] * x[j] for j in range(width)) + bias[i]) + x[i] for i in range(width)])
    return x


def transformer(layer, query, events):
    """BST at inference, in NumPy, for one history: query (D,), events (T, D + X), oldest first, with a layer's weights -> (D + X,)."""
    candidate = np.concatenate([query, np.zeros(events.shape[1] - len(query))])
    positions = np.array(layer.positions)
    sequence = np.concatenate([events, candidate[None]]) + positions[np.minimum(np.arange(len(events), -1, -1), layer.length)]
    q, k, v = (
        np.einsum("tw,whd->thd", sequence, np.array(dense.kernel)) + np.array(dense.bias)
        for dense in (layer.attention.query_dense, layer.attention.key_dense, layer.attention.value_dense)
    )
    heads = []
    for head in range(q.shape[1]):
        scores = np.exp(k[:, head] @ q[-1, head] / np.sqrt(q.shape[2]))
        heads.append(scores / scores.sum() @ v[:, head])
    output = layer.attention.output_dense
    attended = np.einsum("hd,hdw->w", np.stack(heads), np.array(output.kernel)) + np.array(output.bias)
    x = _layer_norm(layer.norms[0], sequence[-1] + attended)
    hidden = x @ np.array(layer.dense[0].kernel) + np.array(layer.dense[0].bias)
    hidden = np.where(hidden > 0, hidden, 0.2 * hidden)  # Keras' leaky ReLU
    return _layer_norm(layer.norms[1], x + hidden @ np.array(layer.dense[1].kernel) + np.array(layer.dense[1].bias))


def _layer_norm(layer, x):
    return (x - x.mean()) / np.sqrt(x.var() + layer.epsilon) * np.array(layer.gamma) + np.array(layer.beta)
