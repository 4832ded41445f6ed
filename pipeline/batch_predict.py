"""Scoring a folder of TFRecords in Beam, by tfx-bsl's RunInference."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from tensorflow_serving.apis import prediction_log_pb2
from tfx_bsl.public.beam import RunInference
from tfx_bsl.public.proto import model_spec_pb2

from pipeline.beam import local_options
from pipeline.errors import InputError
from pipeline.predict import PROBABILITY, check_model


def _to_lines(log: prediction_log_pb2.PredictionLog) -> Iterator[str]:
    """The impressions of one request with their probabilities, as JSON lines."""
    request, response = log.predict_log.request, log.predict_log.response
    scores = tf.make_ndarray(response.outputs[PROBABILITY]).ravel()
    for serialized, score in zip(next(iter(request.inputs.values())).string_val, scores, strict=True):
        yield json.dumps({**_to_row(tf.train.Example.FromString(serialized)), PROBABILITY: float(score)})


def _to_row(example: tf.train.Example) -> dict[str, Any]:
    """The scalar features of an impression, which tell which one it is; histories are left out."""
    row: dict[str, Any] = {}
    for name, feature in sorted(example.features.feature.items()):
        values = getattr(feature, feature.WhichOneof("kind") or "int64_list").value
        if len(values) == 1 and not name.startswith("historical_"):
            row[name] = values[0].decode() if isinstance(values[0], bytes) else values[0]
    return row


def predict_folder(model: Path, folder: Path, out: Path) -> int:
    """Scores every `*.tfrecord.gz` below a folder and writes one JSON object an impression, in no particular order.

    Returns:
        The number of impressions.

    Raises:
        InputError: No model, or no files.
    """
    check_model(model)
    files = sorted(map(str, folder.rglob("*.tfrecord.gz")))
    if not files:
        raise InputError(f"{folder} holds no *.tfrecord.gz files: give a data set, or one of its splits.")
    spec = model_spec_pb2.InferenceSpecType(saved_model_spec=model_spec_pb2.SavedModelSpec(model_path=str(model)))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as aside:
        with beam.Pipeline(options=PipelineOptions(local_options())) as pipeline:
            (
                pipeline
                | beam.Create(files)
                | beam.io.ReadAllFromTFRecord()
                | RunInference(spec)
                | beam.FlatMap(_to_lines)
                | beam.io.WriteToText(f"{aside}/scores", num_shards=1, shard_name_template="")
            )
        os.replace(f"{aside}/scores", out)
    with open(out, encoding="utf-8") as lines:
        return sum(1 for _ in lines)
