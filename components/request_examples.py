"""Brings logged requests into the pipeline as impressions without labels, so that their statistics are computed as those of the data."""

import json
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts

from components.base.errors import DataError
from components.base.examples_format import set_format
from components.serving.requests.request_columns import declared_columns
from components.serving.requests.request_logs import log_files, read_log
from components.serving.requests.request_rows import Row
from din_trainer.features import Column, FeatureConfig

REQUESTS_SPLIT = "requests"
READ_KEY = "read"  # custom property of the output: how many requests were read, in words

_LISTS = {"int64": "int64_list", "float": "float_list", "bytes": "bytes_list"}


@component
def RequestExamples(
    examples: OutputArtifact[standard_artifacts.Examples],
    log: Parameter[str],
    features: Parameter[str],
    fingerprint: Parameter[str],
    source_fingerprint: Parameter[str],
) -> None:
    """Writes an impression for each candidate of each request.

    Args:
        examples: The output, with one split.
        log: A file or a folder, as `components.serving.requests.request_logs` reads it.
        features: JSON of a FeatureConfig: what the model reads.
        fingerprint: Follows the content of the log, so that TFX does not reuse an old result.
        source_fingerprint: Does so for this code.

    Raises:
        DataError: No request can be read.
    """
    del fingerprint, source_fingerprint
    declared = FeatureConfig.model_validate(json.loads(features))
    examples.split_names = artifact_utils.encode_split_names([REQUESTS_SPLIT])
    folder = Path(artifact_utils.get_split_uri([examples], REQUESTS_SPLIT))
    folder.mkdir(parents=True)
    read = _write(folder / "data_tfrecord-00000-of-00001.gz", Path(log), declared)
    examples.set_string_custom_property(READ_KEY, read)
    set_format(examples)


def _write(path: Path, log: Path, features: FeatureConfig) -> str:
    """Writes the impressions of a log. Returns in words how many requests they are of, and why others could not be read."""
    columns = declared_columns(features)
    requests, rows, faults = 0, 0, list[str]()
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for file in log_files(log):
            for logged in read_log(file, columns):
                requests += 1
                fault = logged.fault
                try:
                    records = [_to_example(row, features.columns) for row in logged.rows]
                except (TypeError, ValueError) as error:
                    records, fault = [], f"a value has another type than its feature ({error})"
                for record in records:
                    writer.write(record)
                rows += len(records)
                faults += [f"{file.name}, request {logged.number}: {fault}"] * bool(fault)
    first = f"; {len(faults):,} could not be read, the first: {faults[0].rstrip('.')}" if faults else ""
    if not rows:
        raise DataError(f"{log}: {requests:,} requests, but none has an impression{first}: name a log of this model's requests.")
    return f"{log}: {rows:,} impressions of {requests - len(faults):,} requests{first}."


def _to_example(row: Row, columns: list[Column]) -> bytes:
    example = tf.train.Example()
    for column in columns:
        value: Any = row.get(column.name)
        if value is not None:
            values = value if isinstance(value, list) else [value]
            getattr(example.features.feature[column.name], _LISTS[column.dtype]).value.extend(values)
    return example.SerializeToString()
