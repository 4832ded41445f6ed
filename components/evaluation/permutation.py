"""Permutation importance: how much AUC a model loses when the values of a feature are exchanged between impressions at random.

Breiman, 2001 (Random Forests, section 10). The model is not trained again, so a feature of which another one knows the same seems less
important than it is.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from din_trainer.features import USER_ID, FeatureConfig
from din_trainer.kinds import Cross

Scorer = Callable[[pa.RecordBatch], np.ndarray]  # N impressions -> probabilities (N,)


class FeatureColumns(NamedTuple):
    """What is exchanged together.

    Attributes:
        name: The feature, or the behaviour sequence.
        columns: Its raw features.
    """

    name: str
    columns: list[str]


def exchanged_features(features: FeatureConfig) -> list[FeatureColumns]:
    """The features of a model: each user, context and candidate feature with its weights, and each sequence with all of its columns.

    Attributes of tables, and crosses, change with the features that they follow from.
    """
    asked = {column.name for column in features.columns}
    sequences = [FeatureColumns(name, [column.name for column in found]) for name, found in features.aligned_columns.items()]
    candidates = [FeatureColumns(name, [name]) for name in dict.fromkeys(b.candidate for b in features.behaviours.values())]
    others = [
        FeatureColumns(placed.name, [placed.name, *([placed.feature.weights] if getattr(placed.feature, "weights", "") else [])])
        for placed in features.placed
        if placed.role != "behaviour" and not isinstance(placed.feature, Cross)
    ]
    return [part for part in (*candidates, *sequences, *others) if part.columns and set(part.columns) <= asked]


def exchange(impressions: pa.RecordBatch, columns: Iterable[str], rng: np.random.Generator) -> pa.RecordBatch:
    """The impressions with some columns in another order, the same for all of them."""
    order = pa.array(rng.permutation(impressions.num_rows))
    names, moved = impressions.schema.names, set(columns)
    arrays = [impressions.column(name).take(order) if name in moved else impressions.column(name) for name in names]
    return pa.RecordBatch.from_arrays(arrays, names)


def draw_rows(batches: Iterable[pa.RecordBatch], most: int, seed: int) -> pa.RecordBatch:
    """Draws impressions at random from all batches, in their order. No more than `most` and one batch are in memory.

    Args:
        batches: At least one.
        most: How many are drawn at most.
        seed: The seed of the draw.
    """
    rng = np.random.default_rng(seed)
    kept, keys = None, np.empty(0)
    for batch in batches:
        keys = np.concatenate([keys, rng.random(batch.num_rows)])
        table = pa.Table.from_batches([batch])
        kept = table if kept is None else pa.concat_tables([kept, table])
        if len(keys) > most:
            lowest = np.sort(np.argpartition(keys, most)[:most])
            kept, keys = kept.take(pa.array(lowest)), keys[lowest]
    assert kept is not None
    return kept.combine_chunks().to_batches()[0]


def exchanged_scores(impressions: pa.RecordBatch, features: FeatureConfig, score: Scorer, seed: int) -> dict[str, np.ndarray]:
    """The probabilities with each feature exchanged: (N,) by the feature's name."""
    return {
        part.name: score(exchange(impressions, part.columns, np.random.default_rng([seed, number])))
        for number, part in enumerate(exchanged_features(features))
    }


def users_of(impressions: pa.RecordBatch) -> np.ndarray:
    """The number of each impression's user, (N,), before anything is exchanged; without users each impression has its own."""
    if USER_ID not in impressions.schema.names:
        return np.arange(impressions.num_rows)
    ids = pc.list_flatten(impressions.column(USER_ID))
    return pc.dictionary_encode(ids).indices.to_numpy(zero_copy_only=False)
