"""ImportExampleGen copies shards; its cache follows their content."""

import gzip
import os

import pytest
from tfx.components.example_gen import utils
from tfx.orchestration import data_types
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from components.base.errors import DataError
from components.import_example_gen import Driver, Executor

SPLITS = ("train", "eval")


@pytest.fixture
def data(tmp_path):
    for split in SPLITS:
        (tmp_path / "data" / split).mkdir(parents=True)
        for shard in range(2):
            (tmp_path / "data" / split / f"{shard}.tfrecord.gz").write_bytes(gzip.compress(f"{split} {shard}".encode(), mtime=0))
    return tmp_path / "data"


def properties(data, **changes):
    config = example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name=split, pattern=f"{split}/*") for split in SPLITS])
    given = {
        "input_base": str(data),
        "input_config": proto_utils.proto_to_json(config),
        "output_data_format": example_gen_pb2.FORMAT_TF_EXAMPLE,
    }
    info = data_types.ComponentInfo("", "", data_types.PipelineInfo("", ""))
    return Driver(None).resolve_exec_properties(given | changes, info.pipeline_info, info)


def fingerprint(data):
    return properties(data)[utils.FINGERPRINT_PROPERTY_NAME]


def run(tmp_path, exec_properties):
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "artifact")
    Executor().Do({}, {"examples": [examples]}, exec_properties)
    return examples


def test_shards_are_copied_in_their_order(tmp_path, data):
    examples = run(tmp_path, properties(data))
    assert examples.split_names == '["train", "eval"]'
    assert examples.get_string_custom_property("file_format") == "tfrecords_gzip"
    assert examples.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"
    shards = sorted((tmp_path / "artifact" / "Split-train").iterdir())
    assert [path.name for path in shards] == ["data_tfrecord-00000-of-00002.gz", "data_tfrecord-00001-of-00002.gz"]
    assert [gzip.decompress(path.read_bytes()) for path in shards] == [b"train 0", b"train 1"]


def test_content_that_changes_at_equal_size_and_time_changes_the_fingerprint(data):
    """Case 14: otherwise all nodes would take their results from the cache, and report the metrics of the old labels."""
    before, shard = fingerprint(data), data / "eval" / "0.tfrecord.gz"
    stat = shard.stat()
    changed = bytearray(shard.read_bytes())
    changed[-1] ^= 1
    shard.write_bytes(changed)
    os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (shard.stat().st_size, shard.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert fingerprint(data) != before


def test_a_touch_changes_nothing(data):
    before = fingerprint(data)
    os.utime(data / "train" / "0.tfrecord.gz", (1, 1))
    (data / "train" / "_SUCCESS").touch()
    assert fingerprint(data) == before


def test_a_shard_that_changes_after_it_was_hashed_is_refused(tmp_path, data):
    exec_properties = properties(data)
    (data / "eval" / "1.tfrecord.gz").unlink()
    with pytest.raises(DataError, match=r"/data/eval was changed while it was read: start the run again when it is complete\."):
        run(tmp_path, exec_properties)


@pytest.mark.parametrize(
    ("pattern", "folder", "number"), [("span-{SPAN}/*", "span-3", 3), ("day={YYYY}-{MM}-{DD}/*", "day=1970-01-13", 12)]
)
def test_the_span_is_the_one_of_the_range(tmp_path, data, pattern, folder, number):
    """12 days after 1970-01-01 is 1970-01-13. A newer span is not taken."""
    for name in (folder, "span-15", "day=1970-01-16"):
        (data / name).mkdir()
        (data / name / "0.tfrecord.gz").write_bytes(gzip.compress(name.encode()))
    config = example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="train", pattern=pattern)])
    chosen = range_config_pb2.RangeConfig(static_range=range_config_pb2.StaticRange(start_span_number=number, end_span_number=number))
    resolved = properties(data, input_config=proto_utils.proto_to_json(config), range_config=proto_utils.proto_to_json(chosen))
    assert resolved[utils.SPAN_PROPERTY_NAME] == number
    run(tmp_path, resolved)
    (shard,) = (tmp_path / "artifact" / "Split-train").iterdir()
    assert gzip.decompress(shard.read_bytes()) == folder.encode()
