"""The sentences for anomalies, and for data that has changed."""

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.types import standard_artifacts

from components.data_gate import ANOMALIES_FILE, DataGate, DataRefused, describe_anomalies

ERROR, WARNING = anomalies_pb2.AnomalyInfo.ERROR, anomalies_pb2.AnomalyInfo.WARNING


def anomalies(severity, *reasons):
    result = anomalies_pb2.Anomalies()
    for kind, short, description in reasons:
        result.anomaly_info["user_id"].reason.add(type=kind, short_description=short, description=description)
    result.anomaly_info["user_id"].severity = severity
    return result


OUT_OF_RANGE = (anomalies_pb2.AnomalyInfo.INT_TYPE_SMALL_INT, "Out-of-range values", "Unexpectedly low value: -3.")
NEW = (anomalies_pb2.AnomalyInfo.SCHEMA_NEW_COLUMN, "New column", "New column (column in data but not in schema)")


def test_feature_split_and_reason_are_named():
    sentences = describe_anomalies(anomalies(ERROR, OUT_OF_RANGE), "train")
    assert sentences == ["feature user_id, split train: Out-of-range values: Unexpectedly low value: -3."]


def test_warnings_and_undeclared_columns_stop_nothing():
    assert describe_anomalies(anomalies(WARNING, OUT_OF_RANGE), "train") == []
    assert describe_anomalies(anomalies(ERROR, NEW), "train") == []


def test_anomalies_of_the_whole_data_set_count():
    found = anomalies_pb2.Anomalies()
    found.dataset_anomaly_info.description = "The dataset has too few examples."
    assert describe_anomalies(found, "eval") == ["split eval: The dataset has too few examples."]


@pytest.fixture
def gate(tmp_path):
    """A function that runs the component on data with a fingerprint, without anomalies."""

    def run(read, checked, span=""):
        examples, found = standard_artifacts.Examples(), standard_artifacts.ExampleAnomalies()
        examples.set_string_custom_property("input_fingerprint", read)
        found.uri, found.split_names = str(tmp_path), '["train"]'
        folder = tmp_path / "Split-train"
        folder.mkdir(parents=True)
        (folder / ANOMALIES_FILE).write_bytes(anomalies(WARNING).SerializeToString())
        judge = DataGate.EXECUTOR_SPEC.executor_class._FUNCTION
        judge(checked=checked, span=span, source_fingerprint="", examples=examples, anomalies=found)

    return run


CONTENT = "split:train,num_files:2,sha256:aa\nsplit:eval,num_files:1,sha256:bb"


@pytest.mark.parametrize("checked", [CONTENT, ""])
def test_what_was_checked_passes_and_what_was_not_is_not_compared(gate, checked):
    gate(CONTENT, checked)


def test_content_that_changes_after_the_check_stops_the_run(gate):
    """Case 13: a file that vanishes or changes before ExampleGen reads it. The run went on with half of the data."""
    with pytest.raises(DataRefused) as error:
        gate("split:train,num_files:1,sha256:cc\nsplit:eval,num_files:1,sha256:bb", CONTENT)
    assert str(error.value) == (
        "split train: its files have changed since this run checked them: leave the data as it is during a run, and run again."
    )


def test_a_span_that_changed_is_named(gate):
    with pytest.raises(DataRefused, match=r"^2026-11-24, split impressions: its files have changed"):
        gate("split:impressions,num_files:1,sha256:cc", "split:impressions,num_files:1,sha256:bb", "2026-11-24")
