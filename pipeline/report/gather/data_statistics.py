"""Reads the statistics, the anomalies and the drift that TFDV found in the data of a run."""

from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_data_validation.utils.anomalies_util import load_anomalies_binary
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.data_gate import ANOMALIES_FILE, describe_anomalies
from din_trainer.features import HISTORICAL_TIMESTAMPS, REQUEST_ID, TIMESTAMP
from pipeline.datasets.layout import SPLITS

_SCHEMA_FILE = "schema.pbtxt"
_STATISTICS_FILE = "FeatureStats.pb"
_TOP = 5
_EVER_NEW = {TIMESTAMP, HISTORICAL_TIMESTAMPS, REQUEST_ID}  # always new: their distance from earlier data means nothing
_MISSING = {"-1", ""}  # as values of categories
_MEASURES = {
    anomalies_pb2.DriftSkewInfo.Measurement.L_INFTY: "L-infinity",
    anomalies_pb2.DriftSkewInfo.Measurement.JENSEN_SHANNON_DIVERGENCE: "Jensen-Shannon",
}


def describe_data(
    statistics: Path, anomalies: Path | None, schema: Path, previous_statistics: Path | None, previous_run: str | None
) -> dict[str, Any]:
    """Describes the data of a run.

    Args:
        statistics: The artifact of StatisticsGen.
        anomalies: The artifact of ExampleValidator; None if the run did not reach it.
        schema: The artifact of ImportSchemaGen.
        previous_statistics: The artifact of StatisticsGen in the run that the data is compared with; None if there is no such run.
        previous_run: The id of that run.

    Returns:
        `splits`: the `examples` and the `features` of each split. `anomalies`: sentences; None if ExampleValidator left nothing. `drift`
        between the train splits: `against`, the id of the other run, and `distances`, from 0 to 1; None without a previous run. `missing`:
        sentences on features of the schema without any value in a split, and on features that only the other run's data had.
    """
    found = {split: _read_statistics(statistics, split) for split in SPLITS}
    drift: dict[str, Any] | None = None
    before: set[str] = set()
    if previous_statistics:
        previous = _read_statistics(previous_statistics, "train")
        before = _with_values(previous)
        distances = _measure_drift(found["train"], previous, _read_schema(schema))
        drift = {"against": previous_run, "distances": distances}
    return {
        "splits": {split: _describe_split(statistics) for split, statistics in found.items()},
        "anomalies": _read_anomalies(anomalies) if anomalies else None,
        "drift": drift,
        "missing": _describe_missing(found, {feature.name for feature in _read_schema(schema).feature}, before, previous_run),
    }


def _read_statistics(folder: Path, split: str) -> statistics_pb2.DatasetFeatureStatisticsList:
    return tfdv.load_stats_binary(str(folder / f"Split-{split}" / _STATISTICS_FILE))


def _read_schema(folder: Path) -> schema_pb2.Schema:
    return tfdv.load_schema_text(str(folder / _SCHEMA_FILE))


def _read_anomalies(folder: Path) -> list[str]:
    found = {split: load_anomalies_binary(str(folder / f"Split-{split}" / ANOMALIES_FILE)) for split in SPLITS}
    return [sentence for split, anomalies in found.items() for sentence in describe_anomalies(anomalies, split)]


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


def _with_values(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> set[str]:
    """Returns the features that have a value other than −1 or "", which stand for a missing one."""
    return {_name(feature) for feature in statistics.datasets[0].features if _count_values(feature)}


def _count_values(feature: statistics_pb2.FeatureNameStatistics) -> float:
    values = getattr(feature, feature.WhichOneof("stats")).common_stats.tot_num_values
    return values - sum(top.frequency for top in feature.string_stats.top_values if top.value in _MISSING)


def _describe_missing(
    found: dict[str, statistics_pb2.DatasetFeatureStatisticsList], declared: set[str], before: set[str], previous_run: str | None
) -> list[str]:
    with_values = {split: _with_values(statistics) for split, statistics in found.items()}
    sentences = []
    for name in sorted(declared | before):
        if splits := [f"{split}/" for split, names in with_values.items() if name not in names and (name in declared or split == "train")]:
            earlier = f", but had some in train/ of run {previous_run}" if name in before else ""
            sentences.append(f"Feature {name!r} has no value in {', '.join(splits)}{earlier}.")
    return sentences


def _name(feature: statistics_pb2.FeatureNameStatistics) -> str:
    return ".".join(feature.path.step)


def _measure_drift(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    previous: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
) -> list[dict[str, Any]]:
    """Returns the distance of each feature's distribution from the previous one, in TFDV's measure for its kind of statistics."""
    compared = schema_pb2.Schema()
    compared.CopyFrom(schema)
    now, then = _kinds(statistics), _kinds(previous)
    for feature in compared.feature:
        if feature.name in now and now[feature.name] == then.get(feature.name) and feature.name not in _EVER_NEW:
            comparator = feature.drift_comparator
            (comparator.infinity_norm if now[feature.name] == "string_stats" else comparator.jensen_shannon_divergence).threshold = 1.0
    found = tfdv.validate_statistics(statistics, compared, previous_statistics=previous)
    return [
        {"feature": ".".join(info.path.step), "measure": _MEASURES[measurement.type], "distance": measurement.value}
        for info in found.drift_skew_info
        for measurement in info.drift_measurements
    ]


def _kinds(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> dict[str, str]:
    """Returns `num_stats` or `string_stats` by feature."""
    return {_name(feature): feature.WhichOneof("stats") for feature in statistics.datasets[0].features}
