"""The columns to slice by, against counts made by hand."""

import numpy as np
import pyarrow as pa
import pytest
from tensorflow.core.example.example_pb2 import Example
from tensorflow_metadata.proto.v0 import schema_pb2

from components.base import example_reader
from components.base.tfrecord import read_batches, read_records
from components.evaluation.slice_column import SliceColumn
from components.slice_columns import SliceValues, ValueCounts, add_columns, count_values, extended_schema
from tests.sample_data import write_records

SCHEMA = schema_pb2.Schema()
for _name in ("user_id", "candidate_item_id", "historical_item_ids"):
    SCHEMA.feature.add(name=_name, type=schema_pb2.INT)


def write(path, user, item, history):
    columns = [
        pa.array(column, pa.list_(pa.int64())) for column in ([[u] if u is not None else None for u in user], [[i] for i in item], history)
    ]
    return str(write_records(path, pa.RecordBatch.from_arrays(columns, ["user_id", "candidate_item_id", "historical_item_ids"])))


@pytest.fixture
def files(tmp_path):
    train = write(tmp_path / "train.tfrecord.gz", [1, 1, 2, 1], [7, 8, 7, 7], [[], [7], [], [7, 8]])
    evaluated = write(tmp_path / "eval.tfrecord.gz", [1, 2, 3, None], [7, 8, 9, 7], [[7, 8, 7], [], [1], [1, 2]])
    return train, evaluated, tmp_path


def added(file, schema, columns, optional, train=()):
    """The tf.Examples of a file with its columns."""
    values = SliceValues(columns, train, schema)
    return [
        example for batch in example_reader.read_batches([file], schema) for example in add_columns(batch, values, optional).to_pylist()
    ]


def test_values_are_counted(files):
    counts = count_values([files[0]], SCHEMA, ["user_id", "candidate_item_id"])
    assert counts["user_id"].of(np.array([3, 2, 1])).tolist() == [0, 1, 3]
    assert counts["candidate_item_id"].of(np.array([7, 8, 9, -1])).tolist() == [3, 1, 0, 0]


def test_many_batches_of_text_are_counted():
    counts = ValueCounts()
    for number in range(150):
        counts.add(pa.array([b"a", b"b%d" % (number % 3), b"\xff\x00"], pa.large_binary()))
    assert counts.of(np.array([b"a", b"b2", b"\xff", b"\xff\x00", b""], object)).tolist() == [150, 50, 0, 150, 0]


def test_values_that_never_occur_have_count_zero(tmp_path):
    nobody = write(tmp_path / "nobody.tfrecord.gz", [None, None], [1, 2], [[], []])
    assert count_values([nobody], SCHEMA, ["user_id"])["user_id"].of(np.array([1, 2])).tolist() == [0, 0]


def test_columns_are_added_and_nothing_is_lost(files, tmp_path):
    columns = {
        "length": SliceColumn("length", "historical_item_ids"),
        "activity": SliceColumn("count", "user_id"),
        "popularity": SliceColumn("count", "candidate_item_id"),
    }
    examples = added(files[1], SCHEMA, columns, [], [files[0]])
    assert all(new.startswith(old) for new, old in zip(examples, read_records(tmp_path / "eval.tfrecord.gz"), strict=True))
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(tmp_path / "new.tfrecord")) as writer:
        for example in examples:
            writer.write(example)
    (batch,) = read_batches(tmp_path / "new.tfrecord")
    assert batch.column("length").to_pylist() == [[b"3-5"], [b"0"], [b"1-2"], [b"1-2"]]
    assert batch.column("activity").to_pylist() == [[b"3-5"], [b"1-2"], [b"0"], [b"0"]]  # the last has no user
    assert batch.column("popularity").to_pylist() == [[b"3-5"], [b"1-2"], [b"0"], [b"3-5"]]
    assert batch.column("historical_item_ids").to_pylist() == [[7, 8, 7], [], [1], [1, 2]]


def test_the_schema_has_the_columns_as_required_text():
    feature = extended_schema(SCHEMA, {"activity": SliceColumn("count", "user_id")}).feature[-1]
    assert (feature.name, feature.type, feature.presence.min_fraction, feature.HasField("shape")) == ("activity", schema_pb2.BYTES, 1, True)
    assert len(SCHEMA.feature) == 3


def test_no_columns_leave_the_examples_as_they_are(files, tmp_path):
    assert added(files[1], SCHEMA, {}, []) == list(read_records(tmp_path / "eval.tfrecord.gz"))


def test_missing_values_are_left_out(tmp_path):
    """Case 8: −1 and "" are no value, so they are no slice and no request of their own. The rest of an impression stays."""
    schema = schema_pb2.Schema()
    for name, kind in (("age", schema_pb2.INT), ("device", schema_pb2.BYTES), ("hour", schema_pb2.INT)):
        schema.feature.add(name=name, type=kind)
    file = tmp_path / "eval.tfrecord.gz"
    ages, devices, hours = [[3], [-1], [-1], None], [[b"a"], [b""], [b"b"], [b"c"]], [[-1], [-1], [5], [6]]
    types = (pa.int64(), pa.binary(), pa.int64())
    arrays = [pa.array(values, pa.list_(kind)) for values, kind in zip((ages, devices, hours), types, strict=True)]
    write_records(file, pa.RecordBatch.from_arrays(arrays, ["age", "device", "hour"]))
    examples = [Example.FromString(example) for example in added(str(file), schema, {}, ["age", "device", "nowhere"])]
    found = [
        {name: (*feature.int64_list.value, *feature.bytes_list.value) for name, feature in e.features.feature.items()} for e in examples
    ]
    assert [{name: values[0] for name, values in row.items() if values} for row in found] == [
        {"age": 3, "device": b"a", "hour": -1},
        {"hour": -1},
        {"device": b"b", "hour": 5},
        {"device": b"c", "hour": 6},
    ]


def features_of(examples):
    found = []
    for example in map(Example.FromString, examples):
        lists = {name: [*f.bytes_list.value] for name, f in example.features.feature.items() if name.startswith("by_")}
        found.append(lists)
    return found


def test_tags_and_buckets_are_columns(tmp_path):
    """A tag counts once, a missing one not; a number at a boundary is in the bucket above; quantiles are those of train/."""
    schema = schema_pb2.Schema()
    for name, kind in (("genres", schema_pb2.BYTES), ("codes", schema_pb2.INT), ("price", schema_pb2.FLOAT), ("age", schema_pb2.INT)):
        schema.feature.add(name=name, type=kind)
    types = (pa.binary(), pa.int64(), pa.float32(), pa.int64())

    def file(name, *columns):
        arrays = [pa.array(values, pa.list_(kind)) for values, kind in zip(columns, types, strict=True)]
        return str(write_records(tmp_path / name, pa.RecordBatch.from_arrays(arrays, ["genres", "codes", "price", "age"])))

    ages = [[10], [20], [30], [40], [50], [60], [-1], None]
    train = file("train.tfrecord.gz", [None] * 8, [None] * 8, [None] * 8, ages)
    evaluated = file(
        "eval.tfrecord.gz",
        [[b"b", b"a", b"b"], [b""], None, [b"a"]],
        [[7, -1, 12], [3], [], [3]],
        [[1.0], [2.0], [float("nan")], None],
        [[-5], [20], [31], [99]],
    )
    columns = {
        "by_genre": SliceColumn("tags", "genres"),
        "by_code": SliceColumn("tags", "codes"),
        "by_price": SliceColumn("buckets", "price", (2.0, 3.5)),
        "by_age": SliceColumn("buckets", "age", quantiles=3),
    }
    found = features_of(added(evaluated, schema, columns, [], [train]))
    assert [sorted(row["by_genre"]) for row in found] == [[b"a", b"b"], [], [], [b"a"]]
    assert [sorted(row["by_code"]) for row in found] == [[b"12", b"7"], [b"3"], [], [b"3"]]
    assert [row["by_price"] for row in found] == [[b"below 2"], [b"2 to below 3.5"], [], []]
    # -1, 10, 20, 30, 40, 50, 60 in three parts: below 20, 20 to 30, 40 and more
    assert [row["by_age"] for row in found] == [[b"below 20"], [b"20 to below 40"], [b"20 to below 40"], [b"40 or more"]]
    feature = extended_schema(schema, columns).feature[-1]
    assert (feature.name, feature.type, feature.HasField("shape")) == ("by_age", schema_pb2.BYTES, False)
