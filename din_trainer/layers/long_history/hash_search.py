"""Hash search: the events whose hashes are nearest to that of the candidate (ETA)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from din_trainer.features import LONGEST_HISTORY
from din_trainer.layers.long_history.chosen import Chosen

_RECENCY = 2.0**-17  # of an event's column: all columns together are less than one bit of distance, and the sum is exact in float32
_NOWHERE = -1e3  # the score of padding: below that of every event
assert LONGEST_HISTORY * _RECENCY < 1


@keras.saving.register_keras_serializable("din_trainer")
class HashSearch(keras.layers.Layer):
    """SimHash of the events' embeddings, and the K events whose hashes differ least from the candidate's.

    An embedding e has m bits, one for each random vector h_i: bit i is 1 if ⟨h_i, e⟩ > 0, otherwise 0. The more two embeddings point in
    the same direction, the fewer bits differ: with the angle θ between them, a bit differs with the probability θ / π. The distance of
    event and candidate is the number of bits that differ (Hamming). Events with several behaviours have m bits of each, and the
    differences are added up. Of two events at the same distance the more recent one is nearer.

    The search has no gradient: only the chosen events are embedded for the attention unit, and only they are trained. The random vectors
    are drawn once and saved with the model. The bits follow the embeddings as they change. They are computed in double precision, so
    that all signatures of an export choose the same events.

    SDIM (arXiv 2205.10249) needs no choice at all: it adds up the events that share some bits with the candidate. It is not used here,
    since it must embed and train all events of a history, and has no attention unit.

    Args:
        bits: m, from 1 to 32.
        most: K, how many events are chosen for a candidate.

    References:
        Chen et al., 2021, "End-to-end user behavior retrieval in click-through rate prediction model", arXiv 2108.04468, section 4.2.
        SimHash: Charikar, 2002, "Similarity estimation techniques from rounding algorithms".
    """

    def __init__(self, bits: int, most: int, **kwargs: Any):
        super().__init__(**kwargs)
        if not 1 <= bits <= 32:
            raise ValueError(f"bits must be from 1 to 32; received {bits}")
        self.bits = bits
        self.most = most

    def build(self, sizes: Sequence[int]) -> None:
        """Draws the random vectors for embeddings of some sizes D, one size for each behaviour."""
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.vectors = [
            self.add_weight(name=f"vectors_{i}", shape=(size, self.bits), initializer=normal, trainable=False)
            for i, size in enumerate(sizes)
        ]

    def choose(self, tables: Sequence[Any], events: Sequence[tf.RaggedTensor], candidates: Sequence[Any]) -> Chosen:
        """Chooses events. (Keras would read the whole tables if it called the layer with them.)

        Args:
            tables: The embedding table of each behaviour of the sequence, (rows, D) variables.
            events: The ids of each behaviour's history, ragged (B, events) int.
            candidates: The ids of each behaviour's candidates, (B,) or (B, N), of the same type.

        Returns:
            The chosen events; for each candidate the nearest first.
        """
        with_n = len(candidates[0].shape) == 2
        scores = (self._scores_of_candidates if with_n else self._scores)(tables, events, candidates)  # (B, T) or (B, N, T)
        most = tf.minimum(self.most, tf.shape(scores)[-1])
        best, columns = tf.math.top_k(scores, most)  # (…, most)
        found = tf.where(tf.reshape(best, [-1, most]) > _NOWHERE / 2)  # (C, 2), row by row
        columns = tf.cast(tf.gather_nd(tf.reshape(columns, [-1, most]), found), tf.int64)
        impressions = found[:, 0] // tf.shape(candidates[0], tf.int64)[1] if with_n else found[:, 0]
        return Chosen(tf.gather(events[0].row_splits, impressions) + columns, found[:, 0])

    def _scores(self, tables: Sequence[Any], events: Sequence[tf.RaggedTensor], candidates: Sequence[Any]) -> tf.Tensor:
        """Minus the distance of each event, plus its recency: (B, T)."""
        distance: Any = 0
        for word in self._words(len(tables)):
            found = [_by_id(partial(self._packed, i, tables[i], place), tables[i], events[i].values, candidates[i]) for place, i in word]
            of_events, of_candidates = (tf.add_n(each) for each in zip(*found, strict=True))  # no two behaviours have a bit in common
            differing = tf.bitwise.bitwise_xor(events[0].with_values(of_events).to_tensor(), of_candidates[:, None])
            distance += tf.cast(tf.raw_ops.PopulationCount(x=differing), tf.float32)
        lengths = events[0].row_lengths()
        column = tf.range(tf.shape(distance)[1])
        return tf.where(column < tf.cast(lengths, tf.int32)[:, None], tf.cast(column, tf.float32) * _RECENCY - distance, _NOWHERE)

    def _scores_of_candidates(self, tables: Sequence[Any], events: Sequence[tf.RaggedTensor], candidates: Sequence[Any]) -> tf.Tensor:
        """The same for N candidates an impression, (B, N, T), by one product of matrices.

        With bits as ±1/2, the product of two hashes of m bits is m / 4 for each pair that is equal and −m / 4 for each that differs: minus
        half the distance, and a constant. So twice the product is minus the distance and a constant.
        """
        of_events, of_candidates = [], []
        for i, table in enumerate(tables):
            of_events.append(self._signs(i, table, events[i].values))
            of_candidates.append(2 * self._signs(i, table, candidates[i]))
        splits = events[0].row_splits
        flat = tf.RaggedTensor.from_row_splits(tf.concat(of_events, 1), splits, validate=False)
        signs = flat.to_tensor(0.0)  # (B, T, bits), zeros for padding
        column = tf.range(tf.shape(signs)[1])
        real = column < tf.cast(splits[1:] - splits[:-1], tf.int32)[:, None]
        own = tf.where(real, tf.cast(column, tf.float32) * _RECENCY, _NOWHERE)[:, :, None]  # (B, T, 1)
        ones = tf.ones_like(of_candidates[0][..., :1])
        return tf.matmul(tf.concat([*of_candidates, ones], -1), tf.concat([signs, own], -1), transpose_b=True)

    def _bits(self, behaviour: int, table: Any, ids: Any) -> tf.Tensor:
        """The bits of ids: bool (…, bits)."""
        embedded = tf.cast(tf.gather(table, ids), tf.float64)
        return tf.tensordot(embedded, tf.cast(tf.convert_to_tensor(self.vectors[behaviour]), tf.float64), 1) > 0

    def _signs(self, behaviour: int, table: Any, ids: Any) -> tf.Tensor:
        """The bits as ±1/2: float32 (…, bits)."""
        return tf.cast(self._bits(behaviour, table, ids), tf.float32) - 0.5

    def _words(self, behaviours: int) -> list[list[tuple[int, int]]]:
        """The behaviours whose bits fit into one int64 together: their places in it, and their numbers."""
        fitting = 64 // self.bits
        return [list(enumerate(range(first, min(first + fitting, behaviours)))) for first in range(0, behaviours, fitting)]

    def _packed(self, behaviour: int, table: Any, place: int, ids: Any) -> tf.Tensor:
        """The bits of ids in one integer each, behind those of `place` other behaviours: int64 in the shape of the ids."""
        bits = tf.cast(self._bits(behaviour, table, ids), tf.int64)
        first = place * self.bits
        return tf.reduce_sum(tf.bitwise.left_shift(bits, tf.range(first, first + self.bits, dtype=tf.int64)), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bits": self.bits, "most": self.most}


def _by_id(hashes: Callable[[Any], tf.Tensor], table: Any, events: Any, candidates: Any) -> Any:
    """The hashes of events (E,) and candidates (B,), each id hashed once, or each row of the table if it has fewer rows than there are ids.

    A batch of 256 histories with 2,000 events has half a million ids, but far fewer different ones.
    """
    rows, sizes = table.shape[0], [tf.size(events), tf.size(candidates)]

    def of_rows() -> list[tf.Tensor]:
        hashed = hashes(tf.range(rows))
        return [tf.gather(hashed, events), tf.gather(hashed, candidates)]

    def of_ids() -> list[tf.Tensor]:
        unique, index = tf.unique(tf.concat([events, candidates], 0))
        return tf.split(tf.gather(hashes(unique), index), sizes)

    return tf.cond(rows <= sum(sizes), of_rows, of_ids)
