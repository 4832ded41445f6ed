"""The sentences for anomalies, and for impressions that are missing."""

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx.types import standard_artifacts

from components.data_gate import ANOMALIES_FILE, STATISTICS_FILE, DataGate, DataRefused, describe_anomalies

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
    """A function that runs the component on statistics of so many impressions, without anomalies."""

    def run(checked, **read):
        artifacts = {
            "examples": standard_artifacts.Examples(),
            "statistics": standard_artifacts.ExampleStatistics(),
            "anomalies": standard_artifacts.ExampleAnomalies(),
        }
        for name, artifact in artifacts.items():
            artifact.uri, artifact.split_names = str(tmp_path / name), str(list(read)).replace("'", '"')
        for split, count in read.items():
            found = statistics_pb2.DatasetFeatureStatisticsList()
            found.datasets.add(num_examples=count)
            for name, file, content in (("statistics", STATISTICS_FILE, found), ("anomalies", ANOMALIES_FILE, anomalies(WARNING))):
                folder = tmp_path / name / f"Split-{split}"
                folder.mkdir(parents=True)
                (folder / file).write_bytes(content.SerializeToString())
        DataGate.EXECUTOR_SPEC.executor_class._FUNCTION(checked=checked, source_fingerprint="", **artifacts)

    return run


def test_what_was_checked_passes(gate):
    gate('{"train": 8, "eval": 2}', train=8, eval=2)


def test_counts_that_are_not_known_are_not_compared(gate):
    gate("{}", train=8)


def test_impressions_that_vanish_after_the_check_stop_the_run(gate, tmp_path):
    """Case 13: a file that vanishes before ExampleGen reads it. The run went on with half of the data."""
    with pytest.raises(DataRefused) as error:
        gate('{"train": 8, "validation": 3, "eval": 2}', train=4, eval=2)
    advice = f"Leave the data as it is during a run, and run again; if that does not help, delete {tmp_path / 'examples'}."
    assert str(error.value) == (
        f"split train: 4 impressions were read, but 8 were checked: files have changed meanwhile. {advice} "
        f"split validation: 0 impressions were read, but 3 were checked: files have changed meanwhile. {advice}"
    )
