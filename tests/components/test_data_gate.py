"""The sentences for anomalies."""

from tensorflow_metadata.proto.v0 import anomalies_pb2

from components.data_gate import describe_anomalies

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
