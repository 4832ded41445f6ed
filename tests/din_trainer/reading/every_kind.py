"""A feature definition with every kind in every role, random impressions with missing and hostile values, and their raw tensors."""

import numpy as np
import tensorflow as tf

from din_trainer.features import FeatureConfig
from din_trainer.kinds import Tags, Vector
from din_trainer.reading.parsed_examples import example_spec
from tests.transforming import to_example

NAN = float("nan")
INF = float("inf")
FEATURES = FeatureConfig.model_validate(
    {
        "history_length": 3,
        "time_gap": True,
        "weight": "importance",
        "labels": ["click", "purchase"],
        "behaviours": {
            "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "dim": 3, "oov_buckets": 3},
            "category": {
                "candidate": "candidate_category_id", "history": "historical_category_ids", "dtype": "bytes", "dim": 2, "min_count": 2,
            },
            "cart": {"candidate": "candidate_item_id", "history": "cart_item_ids", "vocabulary": "item", "sequence": "cart"},
        },
        "user": {
            "user_id": {"dtype": "bytes", "dim": 2},
            "age": {"kind": "bucketized", "buckets": 4, "dim": 2},
            "interests": {"kind": "tags", "dtype": "bytes", "weights": "interest_weights", "most": 3, "dim": 2, "oov_buckets": 2},
            "taste": {"kind": "vector", "size": 2},
            "device": {"kind": "hashed", "dtype": "bytes", "buckets": 5, "dim": 2},
            "visits": {"kind": "numeric", "scale": "quantile", "indicator": True},
            "ignored": {"embed": False},
        },
        "context": {
            "city": {"dim": 2, "oov_buckets": 2},
            "hour": {"kind": "numeric"},
            "spent": {"kind": "numeric", "dtype": "float", "scale": "log", "clip": [-5, 5]},
            "words": {"kind": "tags", "most": 2, "dim": 2, "combine": "sum"},
            "age_city": {"kind": "cross", "of": ["age", "city"], "buckets": 7, "dim": 2},
        },
        "candidate": {
            "price": {"kind": "numeric", "dtype": "float", "scale": "minmax", "indicator": True},
            "brand": {"dtype": "bytes", "dim": 2},
            "genres": {"kind": "tags", "weights": "genre_weights", "most": 2, "dim": 2, "combine": "sqrtn"},
            "image": {"kind": "vector", "size": 3, "units": 2},
            "seller": {"kind": "hashed", "buckets": 6, "dim": 2},
            "discount": {"kind": "bucketized", "dtype": "float", "boundaries": [0, 0.1, 0.5], "dim": 2},
            "brand_for_device": {"kind": "cross", "of": ["brand", "device", "discount"], "dim": 2, "oov_buckets": 2},
        },
        "events": {
            "clicks": {
                "paid": {"kind": "numeric", "dtype": "float", "indicator": True},
                "pieces": {"kind": "numeric", "scale": "minmax"},
                "action": {"dtype": "bytes", "dim": 2},
                "shop": {"kind": "hashed", "buckets": 5, "dim": 2},
                "dwell": {"kind": "bucketized", "dtype": "float", "buckets": 3, "dim": 2},
                "picture": {"kind": "vector", "size": 2},
                "notes": {
                    "kind": "tags", "dtype": "bytes", "lengths": "note_counts", "weights": "note_weights", "most": 2, "dim": 2,
                },
            },
            "cart": {"cart_times": {"kind": "time_gap"}, "options": {"kind": "tags", "lengths": "option_counts", "most": 1, "dim": 2}},
        },
        "position": {"slot": {"positions": 4, "serving": 2}},
    }
)  # fmt: skip

CANDIDATES = ["candidate_item_id", "candidate_category_id", "price", "brand", "genres", "genre_weights", "image", "seller", "discount"]
_TAGS = {p.name: p.feature for p in FEATURES.placed if isinstance(p.feature, Tags)}
_WEIGHTS = {feature.weights for feature in _TAGS.values()}
_LENGTHS = {feature.lengths for feature in _TAGS.values()}
_LENGTHS_OF = {raw: feature.lengths for name, feature in _TAGS.items() for raw in (name, feature.weights)}
_NUMBERS = {"int64": np.float64, "float": np.float32}  # in raw tensors
_SIZES = {p.name: p.feature.size for p in FEATURES.placed if isinstance(p.feature, Vector)}


def impression(rng, known, padded=False):
    """A random impression in the form of a tf.Example.

    Args:
        rng: NumPy's generator.
        known: Whether all values are such as Transform sees. Otherwise many are unknown, and numbers may be hostile.
        padded: Whether the histories hold padding, wherever it may stand.
    """
    most = 5 if known else 30
    n, m = (int(rng.integers(0, 7)) for _ in range(2))

    def integer():
        return int(rng.integers(most))

    def number():
        return float(rng.choice([rng.normal() * 3, NAN] if known else [rng.normal() * 3, rng.normal() * 100, NAN, INF, -INF, 0.0, 3e38]))

    def text():
        return f"text {integer()}"

    def some(make, count, missing):
        return [missing if rng.random() < 0.2 else make() for _ in range(count)]

    def items(count):
        return [-1 if padded and rng.random() < 0.3 else integer() for _ in range(count)]

    counts, options = [rng.integers(0, 4, size).tolist() for size in (n, m)]
    genres, interests = int(rng.integers(0, 5)), int(rng.integers(0, 6))
    optional = {
        "age": rng.choice([integer() * 7, -3]).item(),
        "interests": some(text, interests, ""),
        "interest_weights": [number() for _ in range(interests)],
        "taste": [number(), number()],
        "device": rng.choice(["", text()]).item(),
        "visits": int(rng.integers(-5, 100)),
        "city": rng.choice([-1, integer()]).item(),
        "hour": int(rng.integers(-1, 24)) if known else int(rng.choice([-1, 2**40, 23])),
        "spent": number(),
        "words": some(integer, int(rng.integers(0, 4)), -1),
        "price": number(),
        "brand": rng.choice(["", text()]).item(),
        "genres": some(integer, genres, -1),
        "genre_weights": [number() for _ in range(genres)],
        "image": [number() for _ in range(3)],
        "seller": rng.choice([-1, integer()]).item(),
        "discount": float(rng.choice([0.0, 0.1, 0.3, -2.0, NAN])),
        "slot": int(rng.integers(-1, 8)),
        "ignored": integer(),
    }
    optional = {name: value for name, value in optional.items() if rng.random() < 0.8}
    if "interests" not in optional or "interest_weights" not in optional:
        optional = {name: value for name, value in optional.items() if not name.startswith("interest")}
    if "genres" not in optional or "genre_weights" not in optional:
        optional = {name: value for name, value in optional.items() if not name.startswith("genre")}
    return optional | {
        "user_id": text(),
        "candidate_item_id": integer(),
        "candidate_category_id": text(),
        "historical_item_ids": items(n),
        "historical_category_ids": some(text, n, ""),
        "historical_timestamps": rng.integers(0, 10**6, n).tolist(),
        "paid": [number() for _ in range(n)],
        "pieces": rng.integers(-2, 9, n).tolist(),
        "action": some(text, n, ""),
        "shop": some(integer, n, -1),
        "dwell": [number() for _ in range(n)],
        "picture": [number() for _ in range(2 * n)],
        "note_counts": counts,
        "notes": some(text, sum(counts), ""),
        "note_weights": [number() for _ in range(sum(counts))],
        "cart_item_ids": items(m),
        "cart_times": some(lambda: int(rng.integers(0, 10**6)), m, -1),
        "option_counts": options,
        "options": some(integer, sum(options), -1),
        "timestamp": 10**6 + integer(),
        "importance": float(rng.uniform()),
        "label": int(rng.integers(2)),
        "purchase": int(rng.integers(2)),
    }


def parsed(rows):
    """Impressions as the reader parses their tf.Examples."""
    return tf.io.parse_example([to_example(row) for row in rows], example_spec(FEATURES))


def raw_tensors(rows):
    """The inputs of `predict` for impressions in the form of tf.Examples, made with NumPy alone."""
    return {column.name: _tensor(column, rows) for column in FEATURES.columns if column.name not in _LENGTHS}


def _tensor(column, rows):
    name, sequence = column.name, column.presence == "sequence"
    missing, dtype = (NAN, _NUMBERS[column.dtype]) if column.is_number else (-1, np.int64) if column.dtype == "int64" else ("", object)
    if name in _SIZES:
        size = _SIZES[name]
        vectors = [_parts(row[name], [size] * (len(row[name]) // size)) if sequence else row.get(name, []) for row in rows]
        return _padded(vectors, [size], missing, dtype, depth=2 + sequence)
    if column.width is None:
        tags = [_parts(row[name], row[_LENGTHS_OF[name]]) if sequence else row.get(name, []) for row in rows]
        return _padded(tags, [], 0.0 if name in _WEIGHTS else missing, dtype, depth=2 + sequence)
    return _padded([row.get(name, missing) for row in rows], [], missing, dtype, depth=1 + sequence)


def _parts(values, counts):
    """The values of each event."""
    ends = np.cumsum(counts, dtype=int).tolist()
    return [values[end - count : end] for end, count in zip(ends, counts, strict=True)]


def _padded(lists, last, missing, dtype, depth):
    """Lists of lists as an array of so many dimensions, padded on the right. `last`: the sizes of its last dimensions, if known."""
    sizes, level = [len(lists)], lists
    for _ in range(depth - 1):
        sizes.append(max([1, *map(len, level)]))
        level = [value for part in level for value in part]
    result = np.full([*sizes[: depth - len(last)], *last], missing, dtype)
    _fill(result, lists)
    return result


def _fill(array, values):
    for i, value in enumerate(values):
        if array.ndim > 1:
            _fill(array[i], value)
        else:
            array[i] = value
