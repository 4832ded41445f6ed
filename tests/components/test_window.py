"""Spans are put together as splits: which impressions come where, and what is linked instead of copied."""

import hashlib

import pyarrow as pa
import pytest
from tensorflow.core.example.example_pb2 import Example
from tfx.types import artifact_utils, standard_artifacts

from components.base.errors import DataError
from components.base.tfrecord import read_records
from components.window import Window
from tests.sample_data import make_column, write_records

make = Window.EXECUTOR_SPEC.executor_class  # TFX calls it with dictionaries


@pytest.fixture
def spans(tmp_path):
    """A function that makes the examples of spans, from the rows (time, label) of each of their files."""

    def write(number, files):
        span = standard_artifacts.Examples()
        span.uri = str(tmp_path / f"span-{number}")
        span.set_int_custom_property("span", number)
        span.split_names = artifact_utils.encode_split_names(["impressions"])
        folder = tmp_path / f"span-{number}" / "Split-impressions"
        folder.mkdir(parents=True)
        for index, rows in enumerate(files):
            columns = {"timestamp": [row[0] for row in rows], "label": [row[1] for row in rows]}
            batch = pa.RecordBatch.from_pydict({name: make_column(values) for name, values in columns.items()})
            write_records(folder / f"data_tfrecord-{index:05d}-of-{len(files):05d}.gz", batch)
        return span

    return lambda **files: [write(int(name.removeprefix("day")), rows) for name, rows in files.items()]


def window(tmp_path, spans, share=0.5, names='["a", "b"]'):
    """Runs the component; returns its artifact and the times of the impressions of each split, by file."""
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "window")
    properties = {"names": names, "validation_share": share, "source_fingerprint": ""}
    make().Do({"spans": spans}, {"examples": [examples]}, properties)
    files = {split: sorted((tmp_path / "window" / f"Split-{split}").iterdir()) for split in ("train", "validation", "eval")}
    return examples, {split: [[time_of(record) for record in read_records(path)] for path in paths] for split, paths in files.items()}


def time_of(record):
    return Example.FromString(record).features.feature["timestamp"].int64_list.value[0]


def rows(*times):
    return [(time, time % 2) for time in times]


def dealt(examples):
    return [examples.get_int_custom_property(f"dealt_{split}") for split in ("train", "validation", "eval")]


def test_the_newest_span_is_eval_and_a_share_of_the_last_before_it_is_validation(tmp_path, spans):
    """The share is that of the BLAKE2 hash of a record, worked out here. Spans are ordered by number, whatever their order as inputs."""
    third, first, second = spans(
        day3=[rows(*range(300, 320))], day1=[rows(*range(100, 110)), rows(110, 111)], day2=[rows(*range(200, 240))]
    )
    path = tmp_path / "span-2" / "Split-impressions" / "data_tfrecord-00000-of-00001.gz"
    validation = [time_of(record) for record in read_records(path) if hashlib.blake2b(record, digest_size=8).digest() < b"\x80"]
    assert 5 < len(validation) < 35
    examples, found = window(tmp_path, [third, first, second], names='["1", "2", "3"]')
    assert found["train"] == [list(range(100, 110)), [110, 111], [time for time in range(200, 240) if time not in validation]]
    assert found["validation"] == [validation]
    assert found["eval"] == [list(range(300, 320))]
    assert dealt(examples) == [40 - len(validation), len(validation), 0]
    assert artifact_utils.decode_split_names(examples.split_names) == ["train", "validation", "eval"]
    assert examples.get_string_custom_property("file_format") == "tfrecords_gzip"
    assert examples.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"


def test_whole_files_are_linked_and_stay_when_their_span_is_deleted(tmp_path, spans):
    made = spans(day1=[rows(1, 2)], day2=[rows(*range(40))], day3=[rows(3, 4)])
    window(tmp_path, made, names='["1", "2", "3"]')
    (original,) = (tmp_path / "span-3" / "Split-impressions").iterdir()
    (linked,) = (tmp_path / "window" / "Split-eval").iterdir()
    assert linked.samefile(original)
    original.unlink()
    assert [time_of(record) for record in read_records(linked)] == [3, 4]


def test_a_span_alone_is_split_by_time(tmp_path, spans):
    """Twelve impressions in two files, not in order: 80 % are before time 8, 90 % before time 9. Equal times stay together."""
    first, second = [(9, 0), (1, 0), (2, 1), (3, 0), (8, 1)], [(8, 0), (5, 1), (6, 0), (9, 1), (0, 1), (4, 0), (7, 0)]
    examples, found = window(tmp_path, spans(day1=[first, second]), names='["1"]')
    # 12 sorted times: 0 1 2 3 4 5 6 7 8 8 9 9; validation begins with the one at index 0.8 · 12 = 9.6, eval with that at 10.8
    assert found == {"train": [[1, 2, 3], [5, 6, 0, 4, 7]], "validation": [[8], [8]], "eval": [[9], [9]]}
    assert dealt(examples) == [8, 2, 2]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([[(5, 0), (5, 1), (5, 0)]], r"The part train of a, which is split by time, has 0 impressions without and 0 with a click"),
        ([[(1, 0), (2, 1), (-1, 1)]], r"a has impressions without a timestamp"),
    ],
)
def test_a_span_that_cannot_be_split_by_time_is_named(tmp_path, spans, files, message):
    with pytest.raises(DataError, match=f"{message}.*: give it splits of its own, or use --window"):
        window(tmp_path, spans(day1=files), names='["a"]')


def test_a_validation_share_of_one_class_is_named(tmp_path, spans):
    made = spans(day1=[[(time, 0) for time in range(40)]], day2=[rows(1, 2)])
    message = r"The part train of a, of which a share is validation, has \d+ impressions without and 0 with a click, but both"
    with pytest.raises(DataError, match=message):
        window(tmp_path, made)


def test_examples_that_do_not_say_their_span_are_refused(tmp_path, spans):
    """Their order would be wrong in silence."""
    made = spans(day1=[rows(1, 2)], day2=[rows(3, 4)])
    for span in made:
        span.set_int_custom_property("span", 0)
    with pytest.raises(ValueError, match="do not say which span each of them is"):
        window(tmp_path, made)
