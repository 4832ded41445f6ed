"""The requests of `din bench serve`: the same impressions in the form that each model takes."""

from typing import NamedTuple

import numpy as np

from benchmarks.speed.serving_exports import IDS
from components.serving.model.impression_tensors import Impression, Tensors, predict_tensors, to_example
from din_trainer.features import FeatureConfig

_DEEPCTR_NAMES = {
    "user": "user_id",
    "item": "candidate_item_id",
    "category": "candidate_category_id",
    "hist_item": "historical_item_ids",
    "hist_category": "historical_category_ids",
}


class Requests(NamedTuple):
    """One request of the same impressions for each model.

    Attributes:
        examples: For our signatures that parse tf.Examples.
        raw: For `predict` and for plain Keras.
        deepctr: For DeepCTR: int32 ids from 1.
        core: For the network behind plain Keras' lookups: rows of its tables, where vocabularies begin at 2.
    """

    examples: Tensors
    raw: Tensors
    deepctr: Tensors
    core: Tensors


def make_impressions(count: int, history: int) -> list[Impression]:
    """Returns impressions with known ids and full histories. The category of an item is its id modulo the number of categories."""
    rng = np.random.default_rng(0)
    items = rng.integers(0, IDS["item"], (count, 1 + history))
    categories = items % IDS["category"]
    return [
        {
            "user_id": int(user),
            "candidate_item_id": int(item[0]),
            "candidate_category_id": int(category[0]),
            "historical_item_ids": item[1:].tolist(),
            "historical_category_ids": category[1:].tolist(),
        }
        for user, item, category in zip(rng.integers(0, IDS["user"], count), items, categories, strict=True)
    ]


def as_examples(impressions: list[Impression], features: FeatureConfig) -> Tensors:
    """Returns the input of the signatures that parse tf.Examples."""
    return {"examples": np.array([to_example(row, features) for row in impressions], object)}


def make_requests(impressions: list[Impression], features: FeatureConfig) -> Requests:
    """Returns one request of all the impressions for each model."""
    raw = predict_tensors(impressions, features)
    return Requests(
        examples=as_examples(impressions, features),
        raw=raw,
        deepctr={name: raw[ours].reshape(len(impressions), -1).astype(np.int32) + 1 for name, ours in _DEEPCTR_NAMES.items()},
        core={name: ids + 2 for name, ids in raw.items()},
    )
