"""Reads the statistics, the anomalies and the drift that were found in the data of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_data_validation as tfdv
from tensorflow_data_validation.utils.anomalies_util import load_anomalies_binary
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data_gate import ANOMALIES_FILE, describe_anomalies
from components.drift.drift_figures import read_figures
from components.drift.feature_distances import statistics_by_feature, value_share
from components.drift_validator import read_statistics
from pipeline.datasets.layout import SPLITS

_SCHEMA_FILE = "schema.pbtxt"
_TOP = 5


class DataPart(NamedTuple):
    """A split of a data set, or a span.

    Attributes:
        name: Of the split or the span.
        place: The name in sentences.
        split: The split of the artifacts.
        statistics: The artifact of StatisticsGen.
        anomalies: The artifact of ExampleValidator; None if the run did not reach it.
    """

    name: str
    place: str
    split: str
    statistics: Path
    anomalies: Path | None


def split_parts(statistics: Path, anomalies: Path | None) -> list[DataPart]:
    """Returns the splits of a data set."""
    return [DataPart(split, f"{split}/", split, statistics, anomalies) for split in SPLITS]


def describe_data(parts: Sequence[DataPart], schema: Path, figures: Path | None) -> dict[str, Any]:
    """Describes the data of a run.

    Args:
        parts: What to describe: the splits, or spans.
        schema: The artifact of ImportSchemaGen.
        figures: The artifact of DriftValidator; None if the run did not reach it.

    Returns:
        `splits`: the `examples` and the `features` of each part. `anomalies`: sentences; None if ExampleValidator left nothing. `drift`:
        the figures of DriftValidator, which are none if there was nothing to compare with; None if it left nothing. `missing`: sentences on
        features of the schema without any value in a part.
    """
    found = {part: read_statistics(part.statistics, part.split) for part in parts}
    return {
        "splits": {part.name: _describe_split(statistics) for part, statistics in found.items()},
        "anomalies": [sentence for part in parts for sentence in _read_anomalies(part)] if all(part.anomalies for part in parts) else None,
        "drift": read_figures(figures) if figures else None,
        "missing": _describe_missing(found, {feature.name for feature in _read_schema(schema).feature}),
    }


def _read_schema(folder: Path) -> schema_pb2.Schema:
    return tfdv.load_schema_text(str(folder / _SCHEMA_FILE))


def _read_anomalies(part: DataPart) -> list[str]:
    anomalies = load_anomalies_binary(str(Path(str(part.anomalies)) / f"Split-{part.split}" / ANOMALIES_FILE))
    return describe_anomalies(anomalies, part.name)


def _describe_split(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> dict[str, Any]:
    dataset = statistics.datasets[0]
    return {
        "examples": dataset.num_examples,
        "features": [_describe_feature(feature, dataset.num_examples) for feature in dataset.features],
    }


def _describe_feature(feature: statistics_pb2.FeatureNameStatistics, examples: int) -> dict[str, Any]:
    """Describes a feature: numbers by mean, standard deviation and count of zeros, categories by their count and the most frequent ones.

    `presence` is the share of examples that have a value. An empty history counts as a value.
    """
    numeric = feature.num_stats if feature.HasField("num_stats") else None
    categorical = feature.string_stats if feature.HasField("string_stats") else None
    common = getattr(feature, feature.WhichOneof("stats")).common_stats
    return {
        "name": _name(feature),
        "type": statistics_pb2.FeatureNameStatistics.Type.Name(feature.type).lower(),
        "presence": min(common.num_non_missing, common.tot_num_values) / examples,
        "mean": numeric.mean if numeric else None,
        "std": numeric.std_dev if numeric else None,
        "zeros": numeric.num_zeros if numeric else None,
        "distinct": categorical.unique if categorical else None,
        "top": [[top.value, int(top.frequency)] for top in categorical.top_values[:_TOP]] if categorical else [],
    }


def _describe_missing(found: dict[DataPart, statistics_pb2.DatasetFeatureStatisticsList], declared: set[str]) -> list[str]:
    sentences = []
    for name in sorted(declared):
        shares = {part.place: value_share(statistics_by_feature(statistics).get(name), 1) for part, statistics in found.items()}
        if empty := [place for place, share in shares.items() if not share]:
            sentences.append(f"Feature {name!r} has no value in {', '.join(empty)}.")
    return sentences


def _name(feature: statistics_pb2.FeatureNameStatistics) -> str:
    return ".".join(feature.path.step)
