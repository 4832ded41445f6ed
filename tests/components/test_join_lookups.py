"""The attributes of tables, added to impressions."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from google.protobuf import text_format
from tensorflow.core.example.example_pb2 import Example
from tfx.types import artifact_utils, standard_artifacts

from components.base.errors import DataError
from components.base.table_joiner import Joiner
from components.base.tfrecord import read_records
from components.join_lookups import JoinLookups, unmatched
from din_trainer.features import FeatureConfig
from din_trainer.transform.raw_schema import make_schema
from tests.sample_data import write_records

ITEMS = {
    "item_id": [1, 1, 2, 3],
    "since": [0, 100, 0, 0],
    "category": [10, 11, 20, None],
    "price": [1.5, 2.5, 3.5, None],
    "tags": [["a"], ["a", "b"], [], ["c"]],
    "image": [[1.0, 2.0], [3.0, 4.0], None, [5.0, 6.0]],
    "year": [1990, 1991, None, 1993],
}
PRICE = {"kind": "numeric", "dtype": "float", "lookup": "items", "column": "price"}
TAGS = {"kind": "tags", "dtype": "bytes", "lookup": "items", "column": "tags"}
CONFIG = {
    "behaviours": {
        "item": {"candidate": "candidate_item_id", "history": "historical_item_ids"},
        "category": {"candidate": "candidate_category_id", "history": "historical_category_ids", "lookup": "items"},
    },
    "candidate": {
        "price": PRICE,
        "tags": TAGS,
        "image": {"kind": "vector", "size": 2, "lookup": "items"},
        "year": {"kind": "numeric", "lookup": "items"},
    },
    "events": {
        "clicks": {
            "historical_prices": PRICE,
            "historical_tags": {**TAGS, "lengths": "historical_tag_counts"},
            "historical_images": {"kind": "vector", "size": 2, "lookup": "items", "column": "image"},
        }
    },
}
IMPRESSIONS = {
    "candidate_item_id": pa.array([[1], [1], [2], [9]], pa.large_list(pa.int64())),
    "historical_item_ids": pa.array([[1, 2], [], [3, 1, 9], [2]], pa.large_list(pa.int64())),
    "timestamp": pa.array([[99], [100], [500], [500]], pa.large_list(pa.int64())),
}
NAN = float("nan")


def joiner_of(tmp_path):
    file = tmp_path / "items.parquet"
    pa.parquet.write_table(pa.table(ITEMS), file)
    lookups = {"items": {"table": str(file), "key": "item_id", "of": "candidate_item_id", "valid_from": "since"}}
    features = FeatureConfig.model_validate({**CONFIG, "lookups": lookups})
    return Joiner(features), features


def joined(tmp_path, impressions=IMPRESSIONS):
    return joiner_of(tmp_path)[0].attributes(pa.RecordBatch.from_pydict(impressions)).to_pydict()


def test_each_impression_gets_the_rows_of_its_time(tmp_path):
    columns = joined(tmp_path)
    assert columns["candidate_category_id"] == [[10], [11], [20], []]
    assert columns["price"] == [[1.5], [2.5], [3.5], []]
    assert columns["tags"] == [[b"a"], [b"a", b"b"], [], []]
    assert columns["image"] == [[1, 2], [3, 4], [], []]
    assert columns["year"] == [[1990], [1991], [], []]


def test_event_fields_stay_side_by_side(tmp_path):
    """An event without an attribute gets the value that means so; tags have their numbers beside them."""
    columns = joined(tmp_path)
    assert columns["historical_category_ids"] == [[10, 20], [], [-1, 11, -1], [20]]
    np.testing.assert_array_equal(np.concatenate(columns["historical_prices"]), [1.5, 3.5, NAN, 2.5, NAN, 3.5])
    assert columns["historical_tags"] == [[b"a"], [], [b"c", b"a", b"b"], []]
    assert columns["historical_tag_counts"] == [[1, 0], [], [1, 2, 0], [0]]
    images = columns["historical_images"]
    assert [len(image) for image in images] == [4, 0, 6, 2]
    np.testing.assert_array_equal(np.concatenate(images), [1, 2, NAN, NAN, 5, 6, 3, 4, NAN, NAN, NAN, NAN])


def test_an_impression_without_a_time_is_refused(tmp_path):
    impressions = {**IMPRESSIONS, "timestamp": pa.array([[99], [], [500], [500]], pa.large_list(pa.int64()))}
    with pytest.raises(DataError, match=r"an impression has no timestamp, but a table of features\.lookups has rows of different times"):
        joined(tmp_path, impressions)


def test_ids_without_a_row_are_said_and_a_table_that_fits_no_id_is_refused(tmp_path):
    joiner, features = joiner_of(tmp_path)
    joiner.attributes(pa.RecordBatch.from_pydict(IMPRESSIONS))
    behind = f"have no row in {features.lookups['items'].table}: attributes are missing there."
    assert sorted(unmatched(joiner, features)) == [  # of four candidates and six events, 9 is not in it
        f"16.67% of the ids of historical_item_ids {behind}",
        f"25.00% of the ids of candidate_item_id {behind}",
    ]
    joiner, features = joiner_of(tmp_path)
    others = pa.array([[7], [8], [9], [10]], pa.large_list(pa.int64()))
    joiner.attributes(pa.RecordBatch.from_pydict({**IMPRESSIONS, "candidate_item_id": others, "historical_item_ids": others}))
    with pytest.raises(DataError, match=r"has no row for any candidate_item_id of the data \(features\.lookups\.items\): check the table"):
        unmatched(joiner, features)


def test_every_split_and_shard_is_written_with_its_attributes_and_the_span_stays_known(tmp_path):
    """Window orders the spans by their numbers: without them, days were mixed up."""
    _, features = joiner_of(tmp_path)
    given, joined, schema = standard_artifacts.Examples(), standard_artifacts.Examples(), standard_artifacts.Schema()
    for artifact, name in ((given, "given"), (joined, "joined"), (schema, "schema")):
        artifact.uri = str(tmp_path / name)
    given.split_names = artifact_utils.encode_split_names(["impressions"])
    given.set_int_custom_property("span", 20_000)
    folder = tmp_path / "given" / "Split-impressions"
    folder.mkdir(parents=True)
    for name, part in (("a.gz", slice(0, 3)), ("b.gz", slice(3, 4))):
        columns = {name: pa.array(column.to_pylist()[part], pa.list_(pa.int64())) for name, column in IMPRESSIONS.items()}
        write_records(folder / name, pa.RecordBatch.from_pydict(columns))
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(make_schema(features)))

    properties = {"features": features.model_dump_json(), "tables": "{}", "source_fingerprint": ""}
    JoinLookups.EXECUTOR_SPEC.executor_class().Do({"examples": [given], "schema": [schema]}, {"joined": [joined]}, properties)

    assert json.loads(joined.split_names) == ["impressions"]
    assert joined.get_int_custom_property("span") == 20_000
    assert "25.00% of the ids of candidate_item_id" in joined.get_string_custom_property("unmatched")
    files = sorted((tmp_path / "joined" / "Split-impressions").iterdir())
    assert [file.name for file in files] == ["a.gz", "b.gz"]
    examples = [Example.FromString(record).features.feature for file in files for record in read_records(file)]
    assert [list(e["price"].float_list.value) for e in examples] == [[1.5], [2.5], [3.5], []]
    assert [list(e["candidate_item_id"].int64_list.value) for e in examples] == [[1], [1], [2], [9]]
