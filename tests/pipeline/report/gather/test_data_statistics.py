"""TFDV's statistics of small columns, compared with figures worked out by hand."""

import json

import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics.stats_impl import generate_statistics_in_memory
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from pipeline.datasets.layout import SPLITS
from pipeline.report.gather.data_statistics import DataPart, describe_data, split_parts
from tests.sample_data import make_column


def make_schema(categorical_ids=False):
    schema = schema_pb2.Schema()
    for name, kind in (("user_id", schema_pb2.INT), ("genre", schema_pb2.BYTES), ("timestamp", schema_pb2.INT), ("label", schema_pb2.INT)):
        schema.feature.add(name=name, type=kind)
    schema.feature[0].int_domain.is_categorical = categorical_ids
    return schema


def write_statistics(folder, schema, train, others=None):
    """Writes statistics in StatisticsGen's folders. `others` are the columns of the splits other than train."""
    for split in SPLITS:
        columns = train if split == "train" or others is None else others
        batch = pa.RecordBatch.from_pydict({name: make_column(values) for name, values in columns.items()})
        statistics = generate_statistics_in_memory(batch, tfdv.StatsOptions(schema=schema))
        (folder / f"Split-{split}").mkdir(parents=True)
        (folder / f"Split-{split}" / "FeatureStats.pb").write_bytes(statistics.SerializeToString())
    return folder


def write_schema(folder, schema):
    folder.mkdir()
    tfdv.write_schema_text(schema, str(folder / "schema.pbtxt"))
    return folder


COLUMNS = {"user_id": [0, 0, 4, 4], "genre": [b"jazz", b"pop", b"jazz", None], "timestamp": [1, 2, 3, 4], "label": [0, 1, 1, 1]}


def test_figures_of_numbers_and_categories(tmp_path):
    schema = make_schema()
    statistics = write_statistics(tmp_path / "statistics", schema, COLUMNS, {name: values[:2] for name, values in COLUMNS.items()})
    described = describe_data(split_parts(statistics, None), write_schema(tmp_path / "schema", schema), None)
    assert (described["anomalies"], described["drift"], described["missing"]) == (None, None, [])
    assert {split: part["examples"] for split, part in described["splits"].items()} == {"train": 4, "validation": 2, "eval": 2}
    features = {feature["name"]: feature for feature in described["splits"]["train"]["features"]}
    assert features["user_id"] == {
        "name": "user_id", "type": "int", "presence": 1.0, "mean": 2.0, "std": 2.0, "zeros": 2, "distinct": None, "top": [],
    }  # fmt: skip
    assert features["genre"] == {
        "name": "genre", "type": "string", "presence": 0.75, "mean": None, "std": None, "zeros": None, "distinct": 2,
        "top": [["jazz", 2], ["pop", 1]],
    }  # fmt: skip


def test_ids_that_the_schema_calls_categorical_are_counted(tmp_path):
    schema = make_schema(categorical_ids=True)
    statistics = write_statistics(tmp_path / "statistics", schema, {**COLUMNS, "user_id": [7, 8, 8, 8]})
    described = describe_data(split_parts(statistics, None), write_schema(tmp_path / "schema", schema), None)
    user = next(feature for feature in described["splits"]["train"]["features"] if feature["name"] == "user_id")
    assert (user["type"], user["mean"], user["distinct"], user["top"]) == ("int", None, 2, [["8", 3], ["7", 1]])


def test_anomalies_are_those_of_the_gate(tmp_path):
    schema = make_schema()
    for split in SPLITS:
        found = anomalies_pb2.Anomalies()
        if split == "eval":
            found.anomaly_info["genre"].severity = anomalies_pb2.AnomalyInfo.ERROR
            found.anomaly_info["genre"].reason.add(short_description="Unexpected values", description="A new one.")
        (tmp_path / "anomalies" / f"Split-{split}").mkdir(parents=True)
        (tmp_path / "anomalies" / f"Split-{split}" / "SchemaDiff.pb").write_bytes(found.SerializeToString())
    statistics = write_statistics(tmp_path / "statistics", schema, COLUMNS)
    described = describe_data(split_parts(statistics, tmp_path / "anomalies"), write_schema(tmp_path / "schema", schema), None)
    assert described["anomalies"] == ["feature genre, split eval: Unexpected values: A new one."]


def test_drift_is_what_the_validator_left(tmp_path):
    """No second computation."""
    figures = [{"kind": "drift", "feature": "genre", "measure": "infinity_norm", "value": 0.25}]
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "drift.json").write_text(json.dumps(figures))
    statistics = write_statistics(tmp_path / "statistics", make_schema(), COLUMNS)
    described = describe_data(split_parts(statistics, None), write_schema(tmp_path / "schema", make_schema()), tmp_path / "figures")
    assert described["drift"] == figures


def test_features_that_are_missing_altogether_are_named(tmp_path):
    """Case 19. A missing category is "" or −1, as everywhere. That a feature had values before is drift, which DriftValidator finds."""
    schema = make_schema(categorical_ids=True)
    train = {"user_id": COLUMNS["user_id"], "genre": [b"", None, b"", b""], "label": COLUMNS["label"]}
    now = write_statistics(tmp_path / "now", schema, train, {**COLUMNS, "user_id": [-1, -1, -1, -1]})
    assert describe_data(split_parts(now, None), write_schema(tmp_path / "schema", schema), None)["missing"] == [
        "Feature 'genre' has no value in train/.",
        "Feature 'timestamp' has no value in train/.",
        "Feature 'user_id' has no value in validation/, eval/.",
    ]


def test_a_span_is_described_by_its_own_name(tmp_path):
    """Two spans, whose artifacts have one split; the newer one lacks a feature."""
    schema, parts = make_schema(), []
    for day, columns in (("2026-11-23", COLUMNS), ("2026-11-24", {**COLUMNS, "genre": [None] * 4})):
        folder = write_statistics(tmp_path / day, schema, columns)
        (folder / "Split-train").rename(folder / "Split-impressions")
        anomalies = tmp_path / f"anomalies-{day}" / "Split-impressions"
        anomalies.mkdir(parents=True)
        found = anomalies_pb2.Anomalies()
        if day == "2026-11-24":
            found.anomaly_info["genre"].severity = anomalies_pb2.AnomalyInfo.ERROR
            found.anomaly_info["genre"].reason.add(type=anomalies_pb2.AnomalyInfo.SCHEMA_MISSING_COLUMN, short_description="gone")
        (anomalies / "SchemaDiff.pb").write_bytes(found.SerializeToString())
        parts.append(DataPart(day, day, "impressions", folder, anomalies.parent))
    described = describe_data(parts, write_schema(tmp_path / "schema", schema), None)
    assert list(described["splits"]) == ["2026-11-23", "2026-11-24"]
    assert described["missing"] == ["Feature 'genre' has no value in 2026-11-24."]
    assert described["anomalies"] == ["feature genre, split 2026-11-24: gone: ."]
