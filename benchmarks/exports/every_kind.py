"""A feature definition with every kind of feature in every role that it can have, and random impressions of it."""

from typing import Any

import numpy as np

from components.serving.model.impression_tensors import in_example
from components.serving.model.impression_values import Impression, values_of
from din_trainer.features import LABEL, FeatureConfig
from din_trainer.raw_inputs import data_inputs

BEHAVIOURS = {
    "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "dim": 4, "oov_buckets": 3},
    "category": {
        "candidate": "candidate_category_id", "history": "historical_category_ids",
        "dtype": "bytes", "dim": 2, "min_count": 2, "oov_buckets": 2,
    },
    "cart": {"candidate": "candidate_item_id", "history": "cart_item_ids", "vocabulary": "item", "sequence": "cart"},
}  # fmt: skip
FEATURES = FeatureConfig.model_validate(
    {
        "history_length": 4,
        "time_gap": True,
        "labels": ["click", "purchase"],
        "behaviours": BEHAVIOURS,
        "user": {
            "user_id": {"dtype": "bytes", "embed": False},
            "interests": {"kind": "tags", "dtype": "bytes", "weights": "interest_weights", "most": 3, "dim": 2, "oov_buckets": 2},
            "face": {"kind": "vector", "size": 3, "units": 2},
            "device": {"kind": "hashed", "dtype": "bytes", "buckets": 5, "dim": 2},
            "age": {"kind": "bucketized", "buckets": 3, "dim": 2},
        },
        "context": {
            "city": {"dim": 2, "oov_buckets": 2},
            "hour": {"kind": "numeric", "scale": "quantile", "indicator": True},
            "spent": {"kind": "numeric", "dtype": "float", "scale": "log", "clip": [-50, 50]},
            "city_and_age": {"kind": "cross", "of": ["city", "age"], "buckets": 9, "dim": 2},
        },
        "candidate": {
            "price": {"kind": "numeric", "dtype": "float", "scale": "minmax"},
            "genres": {"kind": "tags", "most": 2, "dim": 2, "combine": "sqrtn"},
            "image": {"kind": "vector", "size": 2},
            "brand": {"dtype": "bytes", "dim": 2},
            "discount": {"kind": "bucketized", "dtype": "float", "boundaries": [0, 0.5], "dim": 2},
            "brand_in_city": {"kind": "cross", "of": ["brand", "city"], "dim": 2, "oov_buckets": 2},
        },
        "events": {
            "clicks": {
                "historical_prices": {"kind": "numeric", "dtype": "float", "indicator": True},
                "historical_actions": {"dim": 2},
                "historical_shops": {"kind": "hashed", "buckets": 4, "dim": 2},
                "historical_seconds": {"kind": "bucketized", "boundaries": [5, 60], "dim": 2},
                "historical_images": {"kind": "vector", "size": 2},
                "historical_words": {
                    "kind": "tags", "dtype": "bytes", "lengths": "historical_word_counts", "weights": "historical_word_weights",
                    "most": 2, "dim": 2,
                },
            },
            "cart": {
                "cart_times": {"kind": "time_gap"},
                "cart_options": {"kind": "tags", "lengths": "cart_option_counts", "most": 1, "dim": 2, "combine": "sum"},
            },
        },
        "position": {"position": {"positions": 4, "serving": 1}},
    }
)  # fmt: skip


def random_impressions(count: int, seed: int = 0) -> list[Impression]:
    """Makes impressions in the form of `sample.jsonl`. Of every kind a fifth of the values is missing; the first two have every value."""
    rng = np.random.default_rng(seed)
    return [_impression(rng, 0.0 if number < 2 else 0.2) | {LABEL: number % 2, "purchase": (number // 2) % 2} for number in range(count)]


def _impression(rng: np.random.Generator, missing: float) -> Impression:
    def integer(most: int = 9) -> int:
        return int(rng.integers(most))

    def number() -> float:
        return float(np.float32(rng.normal()))

    def text() -> str:
        return f"text {integer(6)}"

    def or_none(value: Any) -> Any:
        return None if rng.random() < missing else value

    def vector(size: int) -> list[float] | None:
        result: list[float] | None = or_none([number() for _ in range(size)])
        return result

    clicks, carts, interests = ((1 + integer(6)) * (missing == 0 or rng.random() > missing) for _ in range(3))
    words = [[text() for _ in range(integer(4))] for _ in range(clicks)]
    return {
        "user_id": text(), "interests": [text() for _ in range(interests)], "interest_weights": [abs(number()) for _ in range(interests)],
        "face": vector(3), "device": or_none(text()), "age": or_none(integer(90)), "city": or_none(integer()), "hour": or_none(integer(24)),
        "spent": or_none(number() * 60), "candidate_item_id": integer(), "candidate_category_id": text(), "price": or_none(number()),
        "genres": [integer() for _ in range(integer(4))], "image": vector(2), "brand": or_none(text()), "discount": or_none(number()),
        "historical_item_ids": [integer() for _ in range(clicks)], "historical_category_ids": [text() for _ in range(clicks)],
        "historical_timestamps": [integer(3000) for _ in range(clicks)], "historical_prices": [or_none(number()) for _ in range(clicks)],
        "historical_actions": [or_none(integer(3)) for _ in range(clicks)], "historical_shops": [or_none(integer()) for _ in range(clicks)],
        "historical_seconds": [integer(99) for _ in range(clicks)], "historical_images": [vector(2) for _ in range(clicks)],
        "historical_words": words, "historical_word_weights": [[abs(number()) for _ in event] for event in words],
        "cart_item_ids": [integer() for _ in range(carts)], "cart_times": [integer(3000) for _ in range(carts)],
        "cart_options": [[integer(4) for _ in range(integer(3))] for _ in range(carts)],
        "timestamp": 3000 + 1000 * integer(99), "position": or_none(integer(6)),
    }  # fmt: skip


def in_data(row: Impression, features: FeatureConfig) -> dict[str, Any]:
    """Returns an impression as Transform reads it: flat lists by feature, one value where none may be missing, and what only data has."""
    inputs = data_inputs(features)
    required = {read.column.name for read in inputs if read.column.presence == "required"}
    parts = [part for read in inputs for part in in_example(values_of(row, read), read)]
    return {name: values[0] if name in required else values for name, _, values in parts}
