"""Stops the run if ExampleValidator found anomalies in the data: ExampleValidator itself only reports them."""

from pathlib import Path

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts

from components.base.errors import DataError

ANOMALIES_FILE = "SchemaDiff.pb"
# An undeclared column does no harm, because nothing reads it.
_HARMLESS = {anomalies_pb2.AnomalyInfo.SCHEMA_NEW_COLUMN}


class DataRefused(DataError):
    """The data does not fit its schema. The message has one sentence for each anomaly: feature, split and reason."""


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


@component
def DataGate(
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    source_fingerprint: Parameter[str],
) -> None:
    """Fails the run if ExampleValidator found anomalies in any split.

    Args:
        anomalies: ExampleValidator's output.
        source_fingerprint: Changes with this code, so that TFX does not reuse an old result.

    Raises:
        DataRefused: There are anomalies. It names each feature, split and reason.
    """
    del source_fingerprint
    sentences = []
    for split in artifact_utils.decode_split_names(anomalies.split_names):
        found = anomalies_pb2.Anomalies()
        found.ParseFromString((Path(anomalies.uri) / f"Split-{split}" / ANOMALIES_FILE).read_bytes())
        sentences += describe_anomalies(found, split)
    if sentences:
        raise DataRefused(" ".join(sentences))
