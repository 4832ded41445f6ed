"""The attributes of tables, added to impressions."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from components.base.errors import DataError
from components.base.table_joiner import Joiner
from components.join_lookups import unmatched
from din_trainer.features import FeatureConfig

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
    file = features.lookups["items"].table  # one of the four candidates, 9, is not in it
    share = "25.00% of the look-ups of candidate_item_id"
    assert unmatched(joiner, features) == [f"{share} find no row in {file}: attributes are missing there."]
    joiner, features = joiner_of(tmp_path)
    others = pa.array([[7], [8], [9], [10]], pa.large_list(pa.int64()))
    joiner.attributes(pa.RecordBatch.from_pydict({**IMPRESSIONS, "candidate_item_id": others}))
    with pytest.raises(DataError, match=r"has no row for any candidate_item_id of the data \(features\.lookups\.items\): check the table"):
        unmatched(joiner, features)
