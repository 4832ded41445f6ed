"""A feature definition with every kind in every role, and small random batches of its transformed features."""

import numpy as np

_VECTOR = {"kind": "vector", "size": 3}
FEATURES = {
    "history_length": 5,
    "time_gap": True,
    "behaviours": {
        "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "dim": 4},
        "category": {"candidate": "candidate_category_id", "history": "historical_category_ids", "dim": 2},
        "cart": {"candidate": "candidate_item_id", "history": "cart_item_ids", "vocabulary": "item", "sequence": "cart"},
    },
    "user": {
        "user_id": {"dim": 3},
        "interests": {"kind": "tags", "dim": 3, "combine": "sqrtn", "weights": "interest_weights", "most": 4},
        "age": {"kind": "bucketized", "boundaries": [18, 30, 60], "dim": 2},
        "city": {"dim": 2},
    },
    "context": {
        "hour": {"kind": "numeric", "indicator": True},
        "query": {"kind": "hashed", "buckets": 7, "dim": 2},
        "mood": {**_VECTOR, "units": 2},
        "age_city": {"kind": "cross", "of": ["age", "city"], "buckets": 11, "dim": 2},
        "ignored": {"embed": False},
    },
    "candidate": {
        "price": {"kind": "numeric", "dtype": "float"},
        "brand": {"dim": 3},
        "genres": {"kind": "tags", "dim": 2, "most": 3},
        "image": _VECTOR,
        "brand_city": {"kind": "cross", "of": ["brand", "city"], "dim": 2},
    },
    "events": {
        "clicks": {
            "paid": {"kind": "numeric", "dtype": "float", "indicator": True},
            "action": {"dim": 2},
            "labels": {"kind": "tags", "dim": 3, "combine": "sum", "lengths": "label_counts", "weights": "label_weights", "most": 2},
        },
        "cart": {
            "cart_times": {"kind": "time_gap"},
            "picture": {**_VECTOR, "units": 2},
            "shop": {"kind": "hashed", "buckets": 5, "dim": 2},
        },
    },
    "position": {"slot": {"positions": 4, "serving": 1}, "page": {"positions": 3, "tower": "mlp", "dim": 2}},
}  # fmt: skip
SIZES = {
    "item": 30, "category": 9, "user_id": 12, "interests": 8, "city": 6, "brand": 7, "genres": 6, "brand_city": 15, "action": 4,
    "labels": 5,
}  # fmt: skip
FIXED_SIZES = {"age": 6, "query": 9, "age_city": 12, "shop": 7, "slot": 5, "page": 4}  # of the tables without vocabularies


def _tags(rng, shape, most, rows):
    """Ids of tags, padded on the right: each list has 0 to `most`."""
    real = np.arange(most) < rng.integers(0, most + 1, shape)[..., None]
    return rng.integers(1, rows, (*shape, most)) * real


def make_batch(rows, length=4, seed=0):
    """Transformed features of some impressions, with histories of 0 to `length` events."""
    rng = np.random.default_rng(seed)
    float32 = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    sizes = {**SIZES, **FIXED_SIZES}
    clicks, cart = (np.arange(length) < rng.integers(0, length + 1, rows)[:, None] for _ in range(2))
    batch = {
        name: rng.integers(1, sizes[name], rows)
        for name in ("user_id", "age", "city", "query", "age_city", "brand", "brand_city", "slot", "page")
    }
    batch |= {f"candidate_{name}_id": rng.integers(1, sizes[name], rows) for name in ("item", "category")}
    batch |= {"historical_item_ids": rng.integers(1, 30, clicks.shape) * clicks, "cart_item_ids": rng.integers(1, 30, cart.shape) * cart}
    batch |= {"historical_category_ids": rng.integers(1, 9, clicks.shape) * clicks, "action": rng.integers(1, 4, clicks.shape) * clicks}
    batch |= {"interests": _tags(rng, (rows,), 4, 8), "genres": _tags(rng, (rows,), 3, 6), "labels": _tags(rng, clicks.shape, 2, 5)}
    batch["labels"] *= clicks[..., None]
    batch["interest_weights"] = (batch["interests"] > 0) * rng.random((rows, 4)).astype(np.float32)
    batch["label_weights"] = (batch["labels"] > 0) * rng.random((*clicks.shape, 2)).astype(np.float32)
    batch |= {"hour": float32(rows, 2), "mood": float32(rows, 3), "price": float32(rows), "image": float32(rows, 3)}
    batch |= {"paid": float32(*clicks.shape, 2), "historical_time_gaps": float32(*clicks.shape)}
    batch |= {"cart_times_gap": float32(*cart.shape), "picture": float32(*cart.shape, 3), "shop": rng.integers(1, 7, cart.shape) * cart}
    return batch


OF_CANDIDATE = ("candidate_item_id", "candidate_category_id", "price", "brand", "genres", "image", "brand_city", "slot", "page")


def ranked(model, batch, count):
    """A batch in the form of `rank`: each `count` impressions in a row are one, with as many candidates.

    Returns:
        The batch in which the others have the user, context and histories of the first of them, and the inputs of `rank`.
    """
    first = {name: values[::count] for name, values in batch.items()}
    repeated = {name: values if name in OF_CANDIDATE else np.repeat(first[name], count, axis=0) for name, values in batch.items()}
    flat, inputs = model.without_padding(repeated), model.without_padding(first)
    for part in ("ids", "dense", "bags"):
        for name, x in getattr(flat, part).items():
            if name in OF_CANDIDATE:
                getattr(inputs, part)[name] = x if part == "bags" else np.reshape(x, (-1, count, *x.shape[1:]))
    return repeated, inputs
