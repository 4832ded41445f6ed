"""Makes a small SavedModel with every kind of feature, from a few impressions and with random weights, for tests and for the fuzz."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_transform as tft

from benchmarks.exports import every_kind
from benchmarks.exports.transform_analysis import analyse, randomise
from din_trainer.config import ORIGIN_FILE, DINConfig
from din_trainer.export.signatures import export
from din_trainer.features import FeatureConfig
from din_trainer.models.make_model import make_model
from din_trainer.models.ranking_model import RankingModel
from din_trainer.training.initial_tables import vocabulary_sizes

FEATURES = FeatureConfig.model_validate(
    {
        "history_length": 4,
        "time_gap": True,
        "behaviours": every_kind.BEHAVIOURS,
        "user": {"user_id": {"dtype": "bytes", "dim": 2}, "age": {"dim": 2, "oov_buckets": 2}},
        "context": {"device": {"dtype": "bytes", "dim": 2}, "hour": {"kind": "numeric"}, "price": {"kind": "numeric", "dtype": "float"}},
    }
)  # fmt: skip

IMPRESSIONS: list[dict[str, Any]] = [
    {
        "user_id": "0", "age": 3, "candidate_item_id": 7, "candidate_category_id": "a", "historical_item_ids": [9, 7, 0, 7, 2],
        "historical_category_ids": ["b", "a", "a", "a", "c"], "cart_item_ids": [7, 3], "historical_timestamps": [1, 2, 50, 90, 200],
        "timestamp": 3_000, "device": "phone", "hour": 2, "price": 1.0, "label": 1,
    },
    {"user_id": "5", "candidate_item_id": 0, "candidate_category_id": "a", "timestamp": 40_000, "hour": 6, "label": 0},
    {
        "user_id": "5", "age": 4, "candidate_item_id": 3, "candidate_category_id": "c", "historical_item_ids": [7, 0, 3],
        "historical_category_ids": ["a", "c", "b"], "cart_item_ids": [9], "historical_timestamps": [10, 20_000, 30_000],
        "timestamp": 50_000, "device": "desk", "price": 3.0, "label": 0,
    },
]  # fmt: skip


class SmallExport(NamedTuple):
    """The folder of the SavedModel, its Keras model, and Transform's output."""

    saved_model: Path
    model: RankingModel
    transform_output: tft.TFTransformOutput


def make_small_export(folder: Path) -> SmallExport:
    """Writes a SavedModel with random weights, and Transform's graph, into a folder."""
    return _make(folder, FEATURES, IMPRESSIONS)


def make_export_of_every_kind(folder: Path) -> SmallExport:
    """Does as `make_small_export` for the features of `benchmarks.exports.every_kind`."""
    return _make(folder, every_kind.FEATURES, [every_kind.in_data(row, every_kind.FEATURES) for row in every_kind.random_impressions(50)])


def _make(folder: Path, features: FeatureConfig, impressions: list[dict[str, Any]]) -> SmallExport:
    transform_output = analyse(impressions, features, folder / "transform")
    config = DINConfig(features=features)
    model = make_model(config, vocabulary_sizes(features.vocabularies, transform_output))
    randomise(model, 0.3)
    saved_model = folder / "model"
    export(model, transform_output, str(saved_model))
    (saved_model / ORIGIN_FILE).parent.mkdir(exist_ok=True)
    (saved_model / ORIGIN_FILE).write_text(json.dumps({"config": config.model_dump(mode="json"), "source": ""}))
    return SmallExport(saved_model, model, transform_output)
