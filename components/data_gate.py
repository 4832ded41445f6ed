"""Stops the run if ExampleGen read other impressions than were checked, or if ExampleValidator found anomalies in them.

ExampleGen takes the files that it finds, however many, and ExampleValidator only reports.
"""

import json
from pathlib import Path

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts

from components.base.errors import DataError

ANOMALIES_FILE = "SchemaDiff.pb"
STATISTICS_FILE = "FeatureStats.pb"
# An undeclared column does no harm, because nothing reads it.
_HARMLESS = {anomalies_pb2.AnomalyInfo.SCHEMA_NEW_COLUMN}


class DataRefused(DataError):
    """The data does not fit its schema, or is not what was checked. The message has one sentence for each split and reason."""


def describe_anomalies(anomalies: anomalies_pb2.Anomalies, split: str) -> list[str]:
    """One sentence for each anomaly that is an error, sorted by the name of the feature."""
    sentences = []
    if anomalies.HasField("dataset_anomaly_info"):
        sentences.append(f"split {split}: {anomalies.dataset_anomaly_info.description.rstrip('.')}.")
    for feature, info in sorted(anomalies.anomaly_info.items()):
        reasons = [reason for reason in info.reason if reason.type not in _HARMLESS]
        if info.severity == anomalies_pb2.AnomalyInfo.ERROR and reasons:
            text = "; ".join(f"{reason.short_description}: {reason.description.rstrip('.')}" for reason in reasons)
            sentences.append(f"feature {feature}, split {split}: {text}.")
    return sentences


def describe_counts(read: dict[str, int], checked: dict[str, int], examples: str) -> list[str]:
    """One sentence for each split of which ExampleGen read another number of impressions than were checked.

    Args:
        read: The number that ExampleGen read, by split.
        checked: The number that was checked before the run, by split.
        examples: The folder of ExampleGen's output. A later run may take it from the cache.
    """
    advice = f"Leave the data as it is during a run, and run again; if that does not help, delete {examples}."
    return [
        f"split {split}: {read.get(split, 0):,} impressions were read, but {count:,} were checked: files have changed meanwhile. {advice}"
        for split, count in checked.items()
        if read.get(split, 0) != count
    ]


def count_examples(statistics: Path, splits: list[str]) -> dict[str, int]:
    """The number of impressions by split, from StatisticsGen's output."""
    counts = {}
    for split in splits:
        found = statistics_pb2.DatasetFeatureStatisticsList.FromString((statistics / f"Split-{split}" / STATISTICS_FILE).read_bytes())
        counts[split] = sum(dataset.num_examples for dataset in found.datasets)
    return counts


@component
def DataGate(
    examples: InputArtifact[standard_artifacts.Examples],
    statistics: InputArtifact[standard_artifacts.ExampleStatistics],
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    checked: Parameter[str],
    source_fingerprint: Parameter[str],
) -> None:
    """Fails the run if impressions are missing, or if ExampleValidator found anomalies in any split.

    Args:
        examples: ExampleGen's output.
        statistics: StatisticsGen's output.
        anomalies: ExampleValidator's output.
        checked: JSON object: the number of impressions that were checked before the run, by split.
        source_fingerprint: Changes with this code, so that TFX does not reuse an old result.

    Raises:
        DataRefused: There are anomalies, or other impressions. It names each split and reason.
    """
    del source_fingerprint
    read = count_examples(Path(statistics.uri), artifact_utils.decode_split_names(statistics.split_names))
    if sentences := describe_counts(read, json.loads(checked), examples.uri):
        raise DataRefused(" ".join(sentences))
    for split in artifact_utils.decode_split_names(anomalies.split_names):
        found = anomalies_pb2.Anomalies()
        found.ParseFromString((Path(anomalies.uri) / f"Split-{split}" / ANOMALIES_FILE).read_bytes())
        sentences += describe_anomalies(found, split)
    if sentences:
        raise DataRefused(" ".join(sentences))
