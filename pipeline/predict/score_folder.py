"""Scores the impressions in a folder of TFRecords, with Apache Beam and tfx-bsl's RunInference."""

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from tensorflow_serving.apis import prediction_log_pb2
from tfx_bsl.public.beam import RunInference
from tfx_bsl.public.proto import model_spec_pb2

from components.base.errors import InputError, causes, explain_place
from components.base.tfrecord import read_records, unread_files
from components.evaluation.labels import probabilities
from components.serving.model.exported_features import read_features
from din_trainer.features import HISTORICAL_TIMESTAMPS
from pipeline.configuration.beam_config import BeamConfig
from pipeline.predict.score_json import Scorer
from pipeline.runners.beam_options import local_options
from pipeline.runners.engines import running_engine
from pipeline.terminal import complain, raise_if_interrupted


def _to_lines(log: prediction_log_pb2.PredictionLog, lists: Set[str]) -> Iterator[str]:
    """Yields a JSON line for each impression of a request to the model."""
    request, response = log.predict_log.request, log.predict_log.response
    scores = {name: tf.make_ndarray(response.outputs[name]).ravel().tolist() for name in probabilities(response.outputs)}
    for serialized, *row in zip(next(iter(request.inputs.values())).string_val, *scores.values(), strict=True):
        yield json.dumps({**_to_row(tf.train.Example.FromString(serialized), lists), **dict(zip(scores, row, strict=True))})


def _to_row(example: tf.train.Example, lists: Set[str]) -> dict[str, Any]:
    """Returns the scalar features of an impression, which identify it. Histories, tags and vectors are left out."""
    row: dict[str, Any] = {}
    for name, feature in sorted(example.features.feature.items()):
        values = getattr(feature, feature.WhichOneof("kind") or "int64_list").value
        if len(values) == 1 and name not in lists:
            row[name] = values[0].decode(errors="backslashreplace") if isinstance(values[0], bytes) else values[0]
    return {name: value for name, value in row.items() if not (isinstance(value, float) and math.isnan(value))}  # JSON has no NaN


def _check_folder(model: Path, folder: Path) -> tuple[list[Path], int]:
    """Reads all files of a folder and scores the first impression, because the errors of RunInference do not name the file.

    Returns:
        The files, and the number of their impressions.
    """
    files = sorted(folder.rglob("*.tfrecord.gz"))
    if not files:
        raise InputError(f"{folder} holds no *.tfrecord.gz files: give a data set, or one of its splits.")
    for file in unread_files(folder, files):
        raise InputError(f"{file} would not be scored, since it is not called *.tfrecord.gz or is behind a link: rename or move it.")
    scorer, count = Scorer(model), 0
    for file in files:
        for record in read_records(file):
            if count == 0:
                scorer.score([record], str(file))
            count += 1
    return files, count


def predict_folder(
    model: Path, folder: Path, out: Path, notes: list[str], engine: BeamConfig | None = None, tell: Callable[[str], None] = complain
) -> int:
    """Scores every `*.tfrecord.gz` below a folder, and writes one JSON object for each impression, in no particular order.

    Args:
        model: A SavedModel.
        folder: A data set, or one of its splits.
        out: The file of JSON lines to write.
        notes: Gets a sentence for a job that could not be cancelled.
        engine: Where it runs, by default in this process. The workers of a cluster must see the model, the folder and the folder of `out`.
        tell: Shows the user a line, when a job is cancelled.

    Returns:
        The number of impressions.

    Raises:
        InputError: There is no such model, the files are missing or damaged, the model cannot read the impressions, or `out` cannot be
            written.
    """
    files, count = _check_folder(model, folder)
    lists = {column.name for column in read_features(model).columns if column.presence == "sequence" or column.width != 1}
    spec = model_spec_pb2.InferenceSpecType(saved_model_spec=model_spec_pb2.SavedModelSpec(model_path=str(model.absolute())))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        aside = tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.")
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}): name another place with --out.") from error
    with aside:
        lines = (Path(aside.name) / "scores").absolute()
        try:
            with running_engine(engine or BeamConfig(), "predict", notes, tell) as pipelines, _pipeline(pipelines) as pipeline:
                (
                    pipeline
                    | beam.Create([str(file.absolute()) for file in files])
                    | beam.io.ReadAllFromTFRecord()
                    | RunInference(spec)
                    | beam.FlatMap(_to_lines, lists | {HISTORICAL_TIMESTAMPS})
                    | beam.io.WriteToText(str(lines), num_shards=1, shard_name_template="")
                )
        except Exception as error:
            raise_if_interrupted()  # Beam hides the interrupt
            if sentence := _explain(error, folder):
                raise InputError(sentence) from error
            raise
        with open(lines, "rb") as written:
            scored = sum(1 for _ in written)
        if scored != count:
            raise InputError(
                f"{folder} held {count:,} impressions, but {scored:,} were scored: leave it as it is meanwhile, and start again."
            )
        os.replace(lines, out)
    return count


def _pipeline(of_engine: Callable[[], beam.Pipeline] | None) -> beam.Pipeline:
    return of_engine() if of_engine else beam.Pipeline(options=PipelineOptions(local_options()))


def _explain(error: Exception, folder: Path) -> str | None:
    """Returns one sentence for what a user can correct; None for any other error. Beam wraps the errors of its workers."""
    for cause in causes(error):
        if isinstance(cause, tf.errors.InvalidArgumentError):
            reason = " ".join(str(cause.message).split(" [[")[0].split())
            return f"{folder}: the model cannot read an impression ({reason}): add what is missing."
        if isinstance(cause, OSError) and (sentence := explain_place(cause)):
            return sentence
    return None
