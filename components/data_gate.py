"""A gate behind ExampleValidator, which itself never fails a run: anomalies stop it here."""

from pathlib import Path

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts

ANOMALIES_FILE = "SchemaDiff.pb"
# A column that nobody declared cannot hurt: nothing reads it.
_HARMLESS = {anomalies_pb2.AnomalyInfo.SCHEMA_NEW_COLUMN}


class DataRefused(Exception):
    """The data does not fit its schema. The message has one sentence an anomaly: feature, split, reason."""


def describe_anomalies(anomalies: anomalies_pb2.Anomalies, split: str) -> list[str]:
    """One sentence for each anomaly of error severity, in the order of the features' names."""
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
    """Fails the run when ExampleValidator found anomalies in any split.

    Args:
        anomalies: ExampleValidator's output.
        source_fingerprint: Changes with this code, so that no cached verdict outlives it.

    Raises:
        DataRefused: Naming each feature, split and reason.
    """
    del source_fingerprint
    sentences = []
    for split in artifact_utils.decode_split_names(anomalies.split_names):
        found = anomalies_pb2.Anomalies()
        found.ParseFromString((Path(anomalies.uri) / f"Split-{split}" / ANOMALIES_FILE).read_bytes())
        sentences += describe_anomalies(found, split)
    if sentences:
        raise DataRefused(" ".join(sentences))
