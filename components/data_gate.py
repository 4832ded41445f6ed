"""Stops the run if ExampleGen read other data than was checked, or if ExampleValidator found anomalies in it.

ExampleGen takes the files that it finds, however many, and ExampleValidator only reports.
"""

from pathlib import Path

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.example_gen.utils import FINGERPRINT_PROPERTY_NAME
from tfx.dsl.component.experimental.annotations import InputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts

from components.base.errors import DataError
from components.base.shards import split_of

ANOMALIES_FILE = "SchemaDiff.pb"
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


def changed_splits(read: str, checked: str) -> list[str]:
    """One sentence for each split whose content is not that which was checked.

    Args:
        read: The fingerprint of what ExampleGen read, a line for each split.
        checked: That of what was checked before the run; empty if nothing was.
    """
    pairs = zip(read.splitlines(), checked.splitlines(), strict=True) if checked else ()
    advice = "leave the data as it is during a run, and run again."
    return [f"split {split_of(then)}: its files have changed since this run checked them: {advice}" for now, then in pairs if now != then]


@component
def DataGate(
    examples: InputArtifact[standard_artifacts.Examples],
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    checked: Parameter[str],
    span: Parameter[str],
    source_fingerprint: Parameter[str],
) -> None:
    """Fails the run if the data is not what was checked, or if ExampleValidator found anomalies in any split.

    Args:
        examples: ExampleGen's output.
        anomalies: ExampleValidator's output.
        checked: As in `changed_splits`.
        span: The name of the span that the examples are, for the message; empty if they are a whole data set.
        source_fingerprint: Changes with this code, so that TFX does not reuse an old result.

    Raises:
        DataRefused: There are anomalies, or the data has changed. It names each split and reason.
    """
    del source_fingerprint
    sentences = changed_splits(examples.get_string_custom_property(FINGERPRINT_PROPERTY_NAME), checked)
    for split in artifact_utils.decode_split_names(anomalies.split_names) if not sentences else ():
        found = anomalies_pb2.Anomalies()
        found.ParseFromString((Path(anomalies.uri) / f"Split-{split}" / ANOMALIES_FILE).read_bytes())
        sentences += describe_anomalies(found, split)
    if sentences:
        raise DataRefused(" ".join(f"{span}, {sentence}" if span else sentence for sentence in sentences))
