"""Tables of attributes: reading, the row of a time, and the same rows in TensorFlow."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow as tf

from din_trainer.features import FeatureConfig
from din_trainer.lookups.joins import joins
from din_trainer.lookups.table_file import read_table, read_tables
from din_trainer.lookups.tensor_lookup import TensorLookup

ITEMS = {
    "item_id": [7, 3, 7, 5, 7],
    "since": [100, 0, 300, 50, 200],
    "price": [1.0, 2.0, 3.0, None, 5.0],
    "brand": ["a", "b", "c", None, "d"],
    "genres": [["x", "y"], [], ["z"], None, ["x"]],
    "image": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], None, [7.0, 8.0]],
    "year": [1990, 1991, 1992, None, 1993],
}
CANDIDATE = {
    "price": {"kind": "numeric", "dtype": "float", "lookup": "item"},
    "brand": {"kind": "categorical", "dtype": "bytes", "lookup": "item"},
    "genres": {"kind": "tags", "dtype": "bytes", "lookup": "item"},
    "image": {"kind": "vector", "size": 2, "lookup": "item"},
    "released": {"kind": "numeric", "lookup": "item", "column": "year"},
}


def features_of(file, valid_from="since", **others):
    lookup = {"table": str(file), "key": "item_id", "of": "candidate_item_id", "valid_from": valid_from}
    return FeatureConfig.model_validate({"candidate": CANDIDATE, "lookups": {"item": lookup}, **others})


def write(tmp_path, columns):
    file = tmp_path / "items.parquet"
    pa.parquet.write_table(pa.table(columns), file)
    return file


@pytest.fixture
def table(tmp_path):
    features = features_of(write(tmp_path, ITEMS))
    return read_table(features.lookups["item"], "int64", joins(features))


def test_the_row_of_a_time_is_the_newest_that_holds_then(table):
    ids = pa.array([7, 7, 7, 7, 7, 3, 5, 5, 4, 8], pa.int64())
    times = np.array([99, 100, 199, 200, 10**9, 0, 49, 50, 500, 500])
    prices = table.columns["price"][table.find(ids, times)]
    np.testing.assert_array_equal(prices, np.array([np.nan, 1, 1, 5, 3, 2, np.nan, np.nan, np.nan, np.nan], np.float32))
    np.testing.assert_array_equal(table.columns["price"][table.find(ids)][[0, 5, 6]], np.array([3, 2, np.nan], np.float32))


def test_each_kind_of_column_has_its_missing_value(table):
    rows = table.find(pa.array([7, 3, 5, 99], pa.int64()), np.array([250, 250, 250, 250]))
    assert table.columns["brand"][rows].tolist() == [b"d", b"b", b"", b""]
    assert table.columns["genres"][rows].tolist() == [[b"x", b""], [b"", b""], [b"", b""], [b"", b""]]
    np.testing.assert_array_equal(table.columns["image"][rows], np.array([[7, 8], [3, 4], [np.nan] * 2, [np.nan] * 2], np.float32))
    np.testing.assert_array_equal(table.columns["year"][rows], [1993, 1991, np.nan, np.nan])
    assert table.columns["year"].dtype == np.float64


def test_tensorflow_finds_the_same_rows(table):
    rng = np.random.default_rng(0)
    ids, times = rng.integers(0, 10, (50, 4)), rng.integers(-1, 400, (50, 4))
    lookup = TensorLookup(table)
    for when in (times, None):
        found = lookup.find(tf.constant(ids), None if when is None else tf.constant(when)).numpy()
        np.testing.assert_array_equal(found.ravel(), table.find(pa.array(ids.ravel()), None if when is None else when.ravel()))
    for name, values in table.columns.items():
        np.testing.assert_array_equal(lookup.values(name, tf.constant(found)).numpy(), values[found])


def test_text_ids_and_npz_files(tmp_path):
    file = tmp_path / "items.npz"
    np.savez(file, item_id=np.array(["b", "é"]), price=np.array([1.5, 2.5], np.float32), image=np.array([[1, 2], [3, 4]], np.float32))
    candidate = {name: CANDIDATE[name] for name in ("price", "image")}
    item = {"candidate": "candidate_item_id", "history": "historical_item_ids", "dtype": "bytes"}
    features = features_of(file, "", candidate=candidate, behaviours={"item": item})
    table = read_table(features.lookups["item"], "bytes", joins(features))
    rows = table.find(pa.array(["é".encode(), b"a", b"b"], pa.large_binary()))
    np.testing.assert_array_equal(table.columns["price"][rows], np.array([2.5, np.nan, 1.5], np.float32))
    lookup = TensorLookup(table)
    np.testing.assert_array_equal(lookup.find(tf.constant(["é", "a", "b"])).numpy(), rows)


def test_behaviours_and_event_fields_are_looked_up_by_the_items_of_their_sequence(tmp_path):
    behaviours = {
        "item": {"candidate": "candidate_item_id", "history": "historical_item_ids"},
        "category": {"candidate": "candidate_category", "history": "historical_categories", "lookup": "item", "column": "cat"},
    }
    events = {"clicks": {"historical_prices": {"kind": "numeric", "dtype": "float", "lookup": "item", "column": "price"}}}
    features = features_of(tmp_path / "none.parquet", behaviours=behaviours, events=events, candidate={})
    assert [(join.column.name, join.source, join.ids) for join in joins(features)] == [
        ("candidate_category", "cat", "candidate_item_id"),
        ("historical_categories", "cat", "historical_item_ids"),
        ("historical_prices", "price", "historical_item_ids"),
    ]
    assert [column.name for column in features.columns] == ["user_id", "candidate_item_id", "historical_item_ids"]


@pytest.mark.parametrize(
    ("columns", "valid_from", "message"),
    [
        ({}, "", "has two rows with item_id 7: keep one of them, or name the column of times as valid_from"),
        ({"since": [1] * 5}, "since", "has two rows with item_id 7 and the same since: keep one of them"),
        ({"item_id": [1, 2, None, 4, 5]}, "", "column 'item_id' has no value in row 3"),
        ({"item_id": [1, -1, 3, 4, 5]}, "", "column 'item_id' has no value in row 2"),
        ({"price": ["x"] * 5}, "since", "column 'price' is not float"),
        ({"price": [[1.0]] * 5}, "since", "column 'price' is list<element: double>, but 'price' has one value in each row"),
        ({"image": [1.0] * 5}, "since", "column 'image' is double, but 'image' has a list in each row"),
        ({"image": [[1.0]] * 5}, "since", "column 'image' has a list of 1, but 'image' has size 2"),
        ({"image": [[1.0, None]] * 5}, "since", "column 'image' has a vector with missing numbers and others"),
        ({"price": [float("inf")] * 5}, "since", "column 'price' holds an infinite number"),
        ({"brand": ["a\nb"] * 5}, "since", "column 'brand' holds b'a\\\\nb': ids with a line end or NUL fit in no vocabulary"),
        ({"since": [1_700_000_000_000] * 5}, "since", "column 'since' holds 1700000000000, which is no time in unix seconds"),
    ],
)
def test_a_wrong_table_is_refused_in_one_sentence(tmp_path, columns, valid_from, message):
    features = features_of(write(tmp_path, {**ITEMS, **columns}), valid_from)
    with pytest.raises(ValueError, match=message.replace("[", r"\[").replace("(", r"\(")) as error:
        read_table(features.lookups["item"], "int64", joins(features))
    assert "\n" not in str(error.value)


def test_a_table_that_is_not_there_is_named(tmp_path):
    features = features_of(tmp_path / "none.parquet")
    with pytest.raises(ValueError, match=r"cannot be read as a table of attributes \(there is no such file\)"):
        read_table(features.lookups["item"], "int64", joins(features))


def test_text_in_csv_stays_as_it_is_written(tmp_path):
    file = tmp_path / "items.csv"
    file.write_text("item_id,brand,price\n007,0010,1.5\n7,1e3,\n")
    candidate = {name: CANDIDATE[name] for name in ("brand", "price")}
    item = {"candidate": "candidate_item_id", "history": "historical_item_ids", "dtype": "bytes"}
    features = features_of(file, "", candidate=candidate, behaviours={"item": item})
    table = read_table(features.lookups["item"], "bytes", joins(features))
    rows = table.find(pa.array([b"007", b"7", b"07"], pa.large_binary()))
    assert table.columns["brand"][rows].tolist() == [b"0010", b"1e3", b""]
    np.testing.assert_array_equal(table.columns["price"][rows], np.array([1.5, np.nan, np.nan], np.float32))


def test_tags_and_their_weights_have_the_same_length_in_each_row(tmp_path):
    columns = {"item_id": [7, 3], "genres": [["x"], ["x", "y"]], "shares": [[0.5], [1.0]]}
    candidate = {"genres": {"kind": "tags", "dtype": "bytes", "weights": "shares", "lookup": "item"}}
    with pytest.raises(ValueError, match="the lists 'genres' and 'shares' of 3 differ in length: each value needs a weight"):
        read_tables(features_of(write(tmp_path, columns), "", candidate=candidate))
    columns["shares"][1].append(0.25)
    table = read_tables(features_of(write(tmp_path, columns), "", candidate=candidate))["item"]
    np.testing.assert_array_equal(table.columns["shares"][table.find(pa.array([3]))], [[1, 0.25]])


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("ms", tz="UTC"), pa.timestamp("ns"), pa.date32()])
def test_dates_and_times_are_unix_seconds(tmp_path, kind):
    """A table that pandas wrote has its times in micro- or nanoseconds."""
    day = pa.array([19_000, 19_001], pa.int32()).cast(pa.date32()).cast(kind)
    features = features_of(write(tmp_path, {"item_id": [7, 7], "since": day, "price": [1.0, 2.0]}), candidate={"price": CANDIDATE["price"]})
    table = read_tables(features)["item"]
    assert table.times.tolist() == [19_000 * 86_400, 19_001 * 86_400]
    seconds = np.array([19_001 * 86_400 - 1, 19_001 * 86_400])
    assert table.columns["price"][table.find(pa.array([7, 7]), seconds)].tolist() == [1, 2]


def test_features_that_read_a_column_as_different_types_are_refused(tmp_path):
    """The missing value of an id (−1) would be a number to the other feature."""
    candidate = {"age": {"kind": "numeric", "lookup": "item", "column": "year"}, "year": {"kind": "categorical", "lookup": "item"}}
    with pytest.raises(ValueError, match="'age' and 'year' read column 'year' as different types: give them the same dtype"):
        read_tables(features_of(write(tmp_path, ITEMS), candidate=candidate))
