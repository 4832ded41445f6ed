"""The attention of N candidates that share one history, at inference: all pairs of candidate and event, a few thousand at a time.

The arrays of a few thousand pairs stay in a core's cache. With 500 candidates and 50 events, the arrays of all pairs would not. The arrays
of a pass over all pairs are as large as memory has to be read and written for: a product of matrices then takes twice as long.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

PAIRS_AT_ONCE = 2_000  # measured by `python -m benchmarks.speed.rank_chunks`: at most 4 % behind the fastest


def scores_of_pairs(query: Any, rows: Any, kernels: Any, score: Callable[[Any], Any]) -> Any:
    """Scores each event for each candidate of its impression.

    Args:
        query: (B, N, K), the candidates.
        rows: (E,) int, the impression that each event belongs to.
        kernels: (E, K, units): what each event makes of a candidate, which is one matrix product.
        score: From the result of that product, (pairs, units), to the scores, (pairs, 1).

    Returns:
        (E, N).
    """
    candidates, events = tf.shape(query)[1], tf.shape(kernels)[0]
    step = tf.maximum(PAIRS_AT_ONCE // tf.maximum(candidates, 1), 1)  # events at once

    def some(chunk: Any, begin: Any, scores: Any) -> tuple[Any, Any, Any]:
        end = begin + step
        products = tf.matmul(tf.gather(query, rows[begin:end]), kernels[begin:end])  # (step, N, K) × (step, K, units)
        scored = score(tf.reshape(products, [-1, kernels.shape[-1]]))
        return chunk + 1, end, scores.write(chunk, tf.reshape(scored, [-1]))

    chunks = (events + step - 1) // step
    scores = tf.TensorArray(query.dtype, chunks, element_shape=[None], infer_shape=False)
    # one chunk after the other: several at once would not stay in the cache
    *_, scores = tf.while_loop(lambda chunk, *_: chunk < chunks, some, [0, 0, scores], parallel_iterations=1)
    return tf.reshape(scores.concat(), [events, candidates])


def weighted_sums(weights: Any, events: Any, rows: Any, count: Any) -> Any:
    """Σ_j a(e_j, v_A) e_j of each impression and candidate, as one matrix product an impression.

    Args:
        weights: (E, N), the weight of each event for each candidate.
        events: (E, D).
        rows: (E,) int, the impression that each event belongs to, ascending.
        count: B, the number of impressions.

    Returns:
        (B, N, D). An impression without events has zeros.
    """
    # the events of each impression, padded with 0 to those of the longest history: (B, L, N) and (B, L, D)
    padded = [tf.RaggedTensor.from_value_rowids(x, rows, tf.cast(count, rows.dtype), validate=False).to_tensor() for x in (weights, events)]
    return tf.matmul(*padded, transpose_a=True)
