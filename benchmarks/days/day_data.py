"""Synthetic days for the benchmark, and the Transform graph of a window of them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.proto import transform_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.utils import io_utils, proto_utils

from components.base.shards import SPAN_SPLIT
from components.transform import Executor
from din_trainer.config import ANALYZER_CACHE_KEY, COUNTS_KEY, FEATURES_KEY, SOURCE_KEY, START_KEY
from din_trainer.features import FeatureConfig
from din_trainer.transform.raw_schema import make_schema
from pipeline.configuration.node_settings import PREPROCESSING_FN
from pipeline.datasets.manifest import read_oracle
from pipeline.datasets.spans import find_spans
from pipeline.runners.beam_options import local_options

_SHARE = 10  # every tenth impression of a day is validation


class Day(NamedTuple):
    """A day of impressions.

    Attributes:
        name: Of the day.
        whole: All impressions, a file.
        train: Nine of ten impressions, a file.
        validation: The rest, a file.
        oracle: The metrics of the true probabilities.
    """

    name: str
    whole: Path
    train: Path
    validation: Path
    oracle: dict[str, float | None]


def read_days(data: Path, folder: Path) -> list[Day]:
    """Splits each day of a data set of spans into its two parts, below `folder`."""
    days = []
    for span in find_spans(data):
        records = [record for shard in span.shards() for record in tf.data.TFRecordDataset(str(shard), "GZIP").as_numpy_iterator()]
        parts = {"whole": records, "validation": records[::_SHARE], "train": [r for i, r in enumerate(records) if i % _SHARE]}
        for part, rows in parts.items():
            file = folder / span.name / part / f"Split-{SPAN_SPLIT}" / "part.gz"
            file.parent.mkdir(parents=True)
            with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
                for row in rows:
                    writer.write(row)
        files = {part: folder / span.name / part / f"Split-{SPAN_SPLIT}" / "part.gz" for part in parts}
        days.append(Day(span.name, oracle=read_oracle(span.folder) or {}, **files))
    return days


def analyse(days: list[Day], features: FeatureConfig, out: Path, cache: Path, start: dict[str, Any] | None) -> Path:
    """Runs the pipeline's Transform on a window of days. Returns the Transform graph.

    Args:
        days: The window.
        features: The features.
        out: Where the graph is written.
        cache: The folder of what was counted for earlier windows.
        start: What a warm start keeps, as in `preprocessing_fn`; None without a warm start.
    """
    graph, schema = standard_artifacts.TransformGraph(), standard_artifacts.Schema()
    graph.uri, schema.uri = str(out), str(out.with_name(f"{out.name}-schema"))
    io_utils.write_pbtxt_file(f"{schema.uri}/schema.pbtxt", make_schema(features))
    custom = {
        FEATURES_KEY: features.model_dump_json(),
        COUNTS_KEY: False,
        SOURCE_KEY: "bench",
        ANALYZER_CACHE_KEY: str(cache),
        START_KEY: start,
    }
    context = BaseBeamExecutor.Context(beam_pipeline_args=local_options(), tmp_dir=str(out.with_name(f"{out.name}-temp")), unique_id="1")
    Executor(context).Do(
        {"examples": [_examples(day.whole.parents[1]) for day in days], "schema": [schema]},
        {"transform_graph": [graph]},
        {
            standard_component_specs.PREPROCESSING_FN_KEY: PREPROCESSING_FN,
            standard_component_specs.CUSTOM_CONFIG_KEY: json.dumps(custom),
            standard_component_specs.SPLITS_CONFIG_KEY: proto_utils.proto_to_json(transform_pb2.SplitsConfig(analyze=[SPAN_SPLIT])),
            standard_component_specs.DISABLE_STATISTICS_KEY: 1,
        },
    )
    return out


def _examples(folder: Path) -> standard_artifacts.Examples:
    artifact = standard_artifacts.Examples()
    artifact.uri, artifact.split_names = str(folder), artifact_utils.encode_split_names([SPAN_SPLIT])
    return artifact
