"""Ten features beside the default ones, and random impressions that have them all: what `din bench features` measures."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from din_trainer.features import LABEL, FeatureConfig

PLAIN = FeatureConfig()
WITH_TEN = FeatureConfig.model_validate(
    {
        "user": {
            "user_id": {},
            "city": {},
            "interests": {"kind": "tags", "most": 5},
            "face": {"kind": "vector", "size": 64},
        },
        "context": {"device": {}, "hour": {"kind": "numeric"}},
        "candidate": {
            "brand": {},
            "shop": {},
            "words": {"kind": "tags", "most": 5},
            "price": {"kind": "numeric", "dtype": "float"},
            "brand_in_city": {"kind": "cross", "of": ["brand", "city"], "buckets": 10_000},
        },
    }
)

_TAGS = 5  # of each impression
_IDS = {"user_id": 1_000, "candidate_item_id": 500, "city": 100, "device": 20, "brand": 200, "shop": 300}
_TAG_IDS = {"interests": 1_000, "words": 1_000}
_CATEGORIES = 40  # the category of an item is its id modulo this

Impression = dict[str, Any]


def random_impressions(count: int, full: bool = False) -> list[Impression]:
    """Returns impressions in the form of `sample.jsonl`, with every feature of `WITH_TEN` and the label.

    Args:
        count: How many.
        full: Whether each history has `history_length` events; otherwise it has one to so many.
    """
    rng = np.random.default_rng(0)
    length = PLAIN.history_length
    events, lengths = rng.integers(0, _IDS["candidate_item_id"], (count, length)), rng.integers(1, length + 1, count)
    arrays: dict[str, np.ndarray] = {name: rng.integers(0, ids, count) for name, ids in _IDS.items()}
    arrays |= {name: rng.integers(0, ids, (count, _TAGS)) for name, ids in _TAG_IDS.items()}
    arrays |= {"face": rng.normal(size=(count, 64)).astype(np.float32), "hour": rng.integers(0, 24, count)}
    arrays |= {"price": rng.normal(size=count).astype(np.float32), LABEL: rng.integers(0, 2, count)}
    arrays["candidate_category_id"] = arrays["candidate_item_id"] % _CATEGORIES
    lists = {name: values.tolist() for name, values in arrays.items()}
    for name, values in (("historical_item_ids", events), ("historical_category_ids", events % _CATEGORIES)):
        lists[name] = [row if full else row[:kept] for row, kept in zip(values.tolist(), lengths, strict=True)]
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def of_features(row: Impression, features: FeatureConfig) -> Impression:
    """Returns what some features read of an impression, and its label."""
    return {name: row[name] for name in (*(column.name for column in features.columns), LABEL)}


def candidate_of(row: Impression, features: FeatureConfig) -> Impression:
    """Returns the candidate's features of an impression."""
    names = {column.name for column in features.columns if column.role == "candidate"}
    return {name: row[name] for name in names}


def write(rows: list[Impression], features: FeatureConfig, file: Path) -> None:
    """Writes what some features read of impressions, and their labels, as gzipped TFRecords."""
    import tensorflow as tf

    from components.base.example_encoder import encode_examples

    types = {column.name: pa.float32() if column.dtype == "float" else pa.int64() for column in features.columns} | {LABEL: pa.int64()}
    lists = [[value if isinstance(value, list) else [value] for value in (row[name] for row in rows)] for name in types]
    columns = [pa.array(values, pa.list_(kind)) for values, kind in zip(lists, types.values(), strict=True)]
    with tf.io.TFRecordWriter(str(file), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for example in encode_examples(pa.RecordBatch.from_arrays(columns, list(types))).to_pylist():
            writer.write(example)
