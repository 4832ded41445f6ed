"""A SavedModel with every kind of feature, made from a few impressions in seconds: something to attack, not to score with."""

import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata

from din_trainer.config import COUNTS_KEY, FEATURES_KEY, ORIGIN_FILE, DINConfig
from din_trainer.export import export
from din_trainer.features import FeatureConfig
from din_trainer.model import make_model
from din_trainer.preprocessing import preprocessing_fn
from din_trainer.schema import make_schema
from din_trainer.vocabularies import vocabulary_sizes
from pipeline.beam import local_options

FEATURES = FeatureConfig.model_validate(
    {
        "history_length": 4,
        "time_gap": True,
        "behaviours": {
            "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "dim": 4, "oov_buckets": 3},
            "category": {
                "candidate": "candidate_category_id", "history": "historical_category_ids",
                "dtype": "bytes", "dim": 2, "min_count": 2, "oov_buckets": 2,
            },
            "cart": {"candidate": "candidate_item_id", "history": "cart_item_ids", "vocabulary": "item", "sequence": "cart"},
        },
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


def _instance(impression: dict[str, Any], scalars: set[str], names: list[str]) -> dict[str, Any]:
    """An impression as Transform's batches take it: optional features and histories as lists."""
    instance: dict[str, Any] = {}
    for name in names:
        value = impression.get(name)
        values = value if isinstance(value, list) else [] if value is None else [value]
        instance[name] = values[0] if name in scalars else values
    return instance


def make_small_export(folder: Path) -> Path:
    """Writes the SavedModel, with random weights.

    Args:
        folder: Where it and Transform's graph go.

    Returns:
        The SavedModel.
    """
    schema = make_schema(FEATURES)
    scalars = {feature.name for feature in schema.feature if feature.HasField("shape")}
    instances = [_instance(impression, scalars, [feature.name for feature in schema.feature]) for impression in IMPRESSIONS]
    settings = {FEATURES_KEY: FEATURES.model_dump_json(), COUNTS_KEY: False}
    with beam.Pipeline(argv=local_options()) as pipeline, tft_beam.Context(temp_dir=str(folder / "temp")):
        data = (pipeline | beam.Create(instances), dataset_metadata.DatasetMetadata(schema))
        graph = data | tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, settings))
        _ = graph | tft_beam.WriteTransformFn(str(folder / "transform"))
    transform_output = tft.TFTransformOutput(str(folder / "transform"))

    config = DINConfig(features=FEATURES)
    model = make_model(config, vocabulary_sizes(FEATURES.vocabularies, transform_output))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        values = rng.normal(size=weight.shape)
        weight.assign(values * 0.3 if weight.trainable else values**2 + 0.1)  # averages of variances are positive
    saved_model = folder / "model"
    export(model, transform_output, str(saved_model))
    (saved_model / ORIGIN_FILE).parent.mkdir(exist_ok=True)
    (saved_model / ORIGIN_FILE).write_text(json.dumps({"config": config.model_dump(mode="json"), "source": ""}))
    return saved_model
