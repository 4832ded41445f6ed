"""Which row of a start model's embedding tables each row of new ones starts from, by value: the order of a vocabulary changes each day."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from din_trainer.features import PADDING_ID
from din_trainer.kinds import Vocabulary

Features = dict[str, tf.Tensor]
_MEAN = -1
_MOST_KEYS = 4_000_000  # that are kept before they are added up


class TableRows(NamedTuple):
    """The rows of a vocabulary's tables.

    Attributes:
        source: The row of the start model for each row, (rows,). A value that the start model does not know has the row of the
            out-of-vocabulary bucket that it had there.
        new: The rows of the values that the start model does not know.
        known: The rows of the values that it knows.
        old_buckets: The rows of the start model's buckets. If the number of buckets has changed, each starts from the mean of these.
        dropped: How many values only the start model knows.
    """

    source: np.ndarray
    new: np.ndarray
    known: np.ndarray
    old_buckets: np.ndarray
    dropped: int

    def of(self, old_table: np.ndarray) -> np.ndarray:
        """The rows of the start model in the order of the new table: (old rows, D) -> (rows, D)."""
        result = old_table[self.source]
        is_mean = self.source == _MEAN
        if is_mean.any():
            result[is_mean] = old_table[self.old_buckets].mean(axis=0)
        return result


def match_rows(values: list[bytes], vocabulary: Vocabulary, old: Vocabulary, old_ids: Callable[[Any], Any], old_size: int) -> TableRows:
    """Finds the rows that the start model has as well.

    Args:
        values: The values of the vocabulary, in the order of its rows.
        vocabulary: The vocabulary.
        old: That of the start model, with the same dtype.
        old_ids: The start model's ids of values.
        old_size: The rows of its tables.
    """
    texts = tf.constant(values)
    found = old_ids(texts if old.dtype == "bytes" else tf.strings.to_number(texts, tf.int64)).numpy()
    old_buckets = np.arange(old_size - old.oov_buckets, old_size)
    same = vocabulary.oov_buckets == old.oov_buckets
    is_new = found >= old_buckets[0]
    known = 1 + np.flatnonzero(~is_new)
    source = np.concatenate([[PADDING_ID], found, old_buckets if same else np.full(vocabulary.oov_buckets, _MEAN)])
    return TableRows(source, 1 + np.flatnonzero(is_new), known, old_buckets, old_size - 1 - old.oov_buckets - len(known))


def most_frequent_partner(batches: Iterable[Features], pairs: list[tuple[str, str]], rows: int, partner_rows: int) -> np.ndarray:
    """Finds which id of another vocabulary occurs most often beside each id, such as the category of each item.

    Args:
        batches: Transformed features.
        pairs: The features in which both ids are, side by side: two columns, or two aligned histories.
        rows: How many ids there are.
        partner_rows: How many there are in the other vocabulary.

    Returns:
        (rows,); `PADDING_ID` for an id that does not occur. Of several that are equally frequent, the lowest.
    """
    keys, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    waiting: list[np.ndarray] = []
    for batch in batches:
        waiting += [np.ravel(batch[a]) * partner_rows + np.ravel(batch[b]) for a, b in pairs]
        if sum(map(len, waiting)) > _MOST_KEYS:
            keys, counts, waiting = *_added(keys, counts, waiting), []
    keys, counts = _added(keys, counts, waiting)
    ids, partners = np.divmod(keys, partner_rows)
    best_last = np.lexsort([-partners, counts])  # a later assignment to the same id wins
    best_last = best_last[(ids != PADDING_ID)[best_last] & (partners != PADDING_ID)[best_last]]
    result = np.full(rows, PADDING_ID)
    result[ids[best_last]] = partners[best_last]
    return result


def _added(keys: np.ndarray, counts: np.ndarray, waiting: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    found, index = np.unique(np.concatenate([keys, *waiting]), return_inverse=True)
    weights = np.concatenate([counts, np.ones(len(index) - len(counts), np.int64)])
    return found, np.bincount(index, weights, len(found)).astype(np.int64)


def means_by_partner(table: np.ndarray, known: np.ndarray, partner: np.ndarray) -> dict[int, np.ndarray]:
    """The mean of the known rows of each partner, such as of each category: (D,) by the partner's id."""
    return {int(group): table[known[partner[known] == group]].mean(axis=0) for group in np.unique(partner[known]) if group != PADDING_ID}
