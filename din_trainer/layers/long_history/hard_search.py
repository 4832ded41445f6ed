"""Hard search: the events of the candidate's category, the most recent ones (SIM)."""

from typing import Any

import tensorflow as tf

from din_trainer.layers.long_history.chosen import Chosen, most_recent


def hard_search(events: tf.RaggedTensor, candidates: Any, most: int) -> Chosen:
    """Chooses events by category.

    With c_j the category of event j = 1…T, the oldest first, and c_A that of the candidate, the chosen events are the `most` last ones of
    {j : c_j = c_A}. Values that the vocabulary lacks share ids, so they count as one category, or as one for each bucket.

    One candidate an impression: each event is compared with it. N candidates: the events of an impression are sorted by category once, so
    that those of a candidate are a range, which binary search finds in the sorted list.

    Args:
        events: The ids of the events' categories, ragged (B, events); no id is negative.
        candidates: The ids of the candidates' categories, (B,) or (B, N), of the same type.
        most: K, how many events are chosen for a candidate.

    Returns:
        The chosen events; for each candidate the oldest first.

    References:
        Pi et al., 2020, "Search-based user interest modeling with lifelong sequential behavior data", arXiv 2006.05639, section 3.1, the
        hard search of the General Search Unit.
    """
    padded = events.to_tensor(-1)  # (B, T)
    if len(candidates.shape) == 1:
        found = tf.where(tf.equal(padded, candidates[:, None]))  # (M, 2), row by row
        found = tf.gather(found, most_recent(found[:, 0], most))
        return Chosen(tf.gather(events.row_splits, found[:, 0]) + found[:, 1], found[:, 0])
    order = tf.argsort(padded, axis=1, stable=True)  # (B, T): events of one category side by side, the oldest first
    by_category = tf.gather(padded, order, batch_dims=1)
    # `tf.searchsorted` cannot tell the number of rows if there is no event
    first = tf.raw_ops.LowerBound(sorted_inputs=by_category, values=candidates, out_type=tf.int64)  # (B, N)
    behind = tf.raw_ops.UpperBound(sorted_inputs=by_category, values=candidates, out_type=tf.int64)
    count, length = tf.unstack(tf.shape(padded, tf.int64))
    begins = tf.range(count)[:, None] * length  # where the events of each impression begin in `order`
    ranges = tf.ragged.range(
        tf.reshape(begins + tf.maximum(first, behind - most), [-1]), tf.reshape(begins + behind, [-1]), row_splits_dtype=tf.int64
    )
    impressions = ranges.values // tf.maximum(length, 1)
    columns = tf.cast(tf.gather(tf.reshape(order, [-1]), ranges.values), tf.int64)
    return Chosen(tf.gather(events.row_splits, impressions) + columns, ranges.value_rowids())
