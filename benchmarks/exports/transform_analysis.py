"""What an export without TFX needs: Transform on given impressions, and random weights for the model."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apache_beam as beam
import keras
import numpy as np
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io

from din_trainer.config import COUNTS_KEY, FEATURES_KEY, START_KEY
from din_trainer.features import FeatureConfig
from din_trainer.transform.preprocessing import preprocessing_fn
from din_trainer.transform.raw_schema import make_schema
from pipeline.runners.beam_options import local_options


def analyse(
    impressions: Iterable[dict[str, Any]],
    features: FeatureConfig,
    folder: Path,
    with_counts: bool = False,
    start: dict[str, Any] | None = None,
) -> tft.TFTransformOutput:
    """Runs Transform on raw impressions with labels, and returns its output.

    Args:
        impressions: Impressions in the form of `sample.jsonl`. A feature without a value may be missing.
        features: The features of the impressions.
        folder: Where Transform's graph is written.
        with_counts: Whether to write the counts of the values in the vocabularies.
        start: What a warm start keeps, as in `preprocessing_fn`; None without a warm start.
    """
    schema = make_schema(features)
    scalars = {feature.name: feature.HasField("shape") for feature in schema.feature}
    instances = [
        {name: impression[name] if scalar else _as_list(impression.get(name)) for name, scalar in scalars.items()}
        for impression in impressions
    ]
    settings = {FEATURES_KEY: features.model_dump_json(), COUNTS_KEY: with_counts, START_KEY: start}
    with beam.Pipeline(argv=local_options()) as pipeline, tft_beam.Context(temp_dir=str(folder / "temp")):
        data = (pipeline | beam.Create(instances), dataset_metadata.DatasetMetadata(schema))
        graph = data | tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, settings))
        _ = graph | tft_beam.WriteTransformFn(str(folder))
    metadata_io.write_metadata(dataset_metadata.DatasetMetadata(schema), str(folder / tft.TFTransformOutput.RAW_METADATA_DIR))
    return tft.TFTransformOutput(str(folder))


def randomise(model: keras.Model, size: float = 0.1) -> None:
    """Sets random weights, all different. In a graph of constants, weights of 0 or 1 would be simplified away.

    Args:
        model: The model.
        size: The standard deviation of the weights.
    """
    rng = np.random.default_rng(0)
    for weight in model.weights:
        values = rng.normal(size=weight.shape) * size
        weight.assign(values if weight.trainable else 1 + abs(values))  # moving variances must be positive


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
