"""Reading by shards gives the record batches of TFX's own reader."""

import subprocess
import sys
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from apache_beam.internal import pickler
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.tfxio import tf_example_record

from components.base.shard_tfxio import ParsedTFXIO, ShardTFXIO
from pipeline.runners.beam_options import local_options

SCHEMA = text_format.Parse(
    """
    feature { name: "user" type: BYTES presence { min_fraction: 1 min_count: 1 } shape {} }
    feature { name: "item" type: INT presence { min_fraction: 1 min_count: 1 } shape {} }
    feature { name: "history" type: INT }
    feature { name: "price" type: FLOAT value_count { max: 1 } }
    feature { name: "nowhere" type: BYTES }
    """,
    schema_pb2.Schema(),
)


def example(**lists):
    result = tf.train.Example()
    for name, values in lists.items():
        kind = "float_list" if name == "price" else "int64_list" if name in ("item", "history") else "bytes_list"
        getattr(result.features.feature[name], kind).value.extend(values)
    return result.SerializeToString()


ROWS = [
    example(user=[b""], item=[0]),
    example(user=[b"a"], item=[5], history=[1, -2, 3], price=[0.5]),
    example(user=[b"\xff"], item=[2**62], history=[], price=[float("nan")]),
]


def write(path, rows):
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for row in rows:
            writer.write(row)


@pytest.fixture
def files(tmp_path):
    write(tmp_path / "b.gz", ROWS[2:])
    write(tmp_path / "a.gz", ROWS[:2])
    return f"{tmp_path}/*"


def save(batch, folder):
    with pa.ipc.new_stream(str(folder / f"{batch.num_rows} rows"), batch.schema) as writer:
        writer.write(batch)


def read(tfxio, folder):
    """All rows that a reader gives, in the order of their items."""
    folder.mkdir()
    with beam.Pipeline(argv=local_options()) as pipeline:
        _ = pipeline | tfxio.BeamSource(100) | beam.Map(save, folder)
    table = pa.concat_tables(pa.ipc.open_stream(file.read_bytes()).read_all() for file in folder.iterdir())
    return table.take(np.argsort([item for (item,) in table["item"].to_pylist()]))


def test_batches_are_those_of_tfx(files, tmp_path_factory):
    settings = {"schema": SCHEMA, "raw_record_column_name": "raw", "telemetry_descriptors": ["test"]}
    folder = tmp_path_factory.mktemp("batches")
    ours, theirs = (read(kind(files, **settings), folder / kind.__name__) for kind in (ShardTFXIO, tf_example_record.TFExampleRecord))
    assert ours.schema.equals(theirs.schema)
    assert str(ours.to_pylist()) == str(theirs.to_pylist())  # as text, since NaN differs from NaN
    assert ours["raw"].to_pylist() == [[row] for row in ROWS]
    assert ours["history"].to_pylist() == [None, [1, -2, 3], []]  # missing differs from empty


_IN_A_WORKER = """
import sys
from pathlib import Path
from apache_beam.internal import pickler
import pyarrow as pa
folder = Path(sys.argv[1])
for pickled in folder.glob("*.pickle"):
    read = pickler.loads(pickled.read_bytes())
    read.setup()
    for number, file in enumerate(sys.argv[2:]):
        for batch in read.process(file):
            with pa.ipc.new_stream(str(folder / f"{pickled.stem}.{number}"), batch.schema) as writer:
                writer.write(batch)
"""


def test_a_worker_in_another_process_reads_the_same_batches(files, tmp_path_factory):
    """A cluster's worker gets the function pickled, and none of the changes that the nodes make to libraries while they run."""
    folder, here = tmp_path_factory.mktemp("worker"), {}
    for kind in (ShardTFXIO, ParsedTFXIO):
        tfxio = kind(files, schema=SCHEMA, telemetry_descriptors=["test"])
        here[kind.__name__] = read(tfxio, folder / f"{kind.__name__} here")
        (folder / f"{kind.__name__}.pickle").write_bytes(pickler.dumps(tfxio._reader(100)))
    shards = sorted(map(str, Path(files).parent.glob("*.gz")))
    subprocess.run([sys.executable, "-c", _IN_A_WORKER, str(folder), *shards], check=True)
    for name, table in here.items():
        batches = [pa.ipc.open_stream((folder / f"{name}.{number}").read_bytes()).read_all() for number in (0, 1)]
        there = pa.concat_tables(batches)
        assert table.schema.equals(there.schema) and [batch.num_rows for batch in batches] == [2, 1]  # a batch holds records of one shard
        assert str(table.to_pylist()) == str(there.to_pylist())


def stages(options, tfxio):
    pipeline = beam.Pipeline(argv=options)
    _ = pipeline | tfxio.BeamSource(100)
    return str(pipeline.to_runner_api())


def test_only_a_cluster_spreads_the_shards(files):
    tfxio = ShardTFXIO(files, schema=SCHEMA, telemetry_descriptors=["test"])
    assert "beam:transform:reshuffle" not in stages(local_options(), tfxio)
    assert "beam:transform:reshuffle" in stages(["--runner=PortableRunner", "--job_endpoint=embed"], tfxio)


@pytest.fixture
def parsed(files):
    return ParsedTFXIO(files, schema=SCHEMA, telemetry_descriptors=["test"])


def test_the_parser_gives_the_same_values_with_missing_as_empty(parsed, tmp_path_factory):
    table = read(parsed, tmp_path_factory.mktemp("batches") / "all")
    assert table.schema.equals(parsed.ArrowSchema())
    assert table["user"].to_pylist() == [[b""], [b"a"], [b"\xff"]]
    assert table["item"].to_pylist() == [[0], [5], [2**62]]
    assert table["history"].to_pylist() == [[], [1, -2, 3], []]
    assert str(table["price"].to_pylist()) == "[[], [0.5], [nan]]"
    assert table["nowhere"].to_pylist() == [[], [], []]


def test_a_projection_reads_its_columns(parsed, tmp_path_factory):
    table = read(parsed.Project(["item", "history"]), tmp_path_factory.mktemp("batches") / "some")
    assert set(table.column_names) == {"item", "history"}
    assert table["item"].to_pylist() == [[0], [5], [2**62]]


def test_a_required_value_that_is_missing_in_one_row_and_doubled_in_the_next_is_an_error(tmp_path, tmp_path_factory):
    """tfx-bsl's decoder would give the first row the second one's value."""
    write(tmp_path / "a.gz", [example(user=[b"a"]), example(user=[b"b"], item=[3, 4])])
    with pytest.raises(Exception, match=r"Feature: item .* is required but could not be found"):
        read(ParsedTFXIO(f"{tmp_path}/*", schema=SCHEMA, telemetry_descriptors=["test"]), tmp_path_factory.mktemp("batches") / "none")


def test_a_shape_of_several_values_is_read_whole(tmp_path, tmp_path_factory):
    schema = text_format.Parse('feature { name: "history" type: INT shape { dim { size: 2 } } }', schema_pb2.Schema())
    schema.feature.add().CopyFrom(SCHEMA.feature[1])  # the item
    write(tmp_path / "a.gz", [example(item=[1], history=[5, 6]), example(item=[2], history=[7, 8])])
    table = read(ParsedTFXIO(f"{tmp_path}/*", schema=schema, telemetry_descriptors=["test"]), tmp_path_factory.mktemp("batches") / "two")
    assert table["history"].to_pylist() == [[5, 6], [7, 8]]
