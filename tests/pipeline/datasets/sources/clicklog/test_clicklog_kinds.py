"""Click logs with all kinds of features: tags with weights, vectors, prices, labels, and what is known of events."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.base.tfrecord import read_batches
from pipeline.configuration.load_config import load_config
from pipeline.datasets.importing import import_source as importing
from pipeline.datasets.importing.import_source import import_source
from pipeline.datasets.sources.interactions import EVENT, WITHOUT_HISTORY, Tally
from tests.pipeline.datasets.sources.clicklog.click_logs import PLAIN, Row, cell_of, read, refusal, rows_of, source_of, write

ROOT = Path(__file__).parents[5]
KINDS = """
[columns]
user_id = "user"
candidate_item_id = "item"
label = "clk"
position = "pos"
candidate_price = "price"
candidate_tags = "tags"
candidate_tag_weights = "weights"
candidate_image = "image"
interests = "interests"
mood = "mood"

[types]
user_id = "int64"
candidate_item_id = "int64"
position = "int64"
candidate_price = "float"
interests = "int64"

[lists]
candidate_tags = { separator = "|", weights = "candidate_tag_weights", history = true }
candidate_image = { separator = "|", size = 2 }
interests = { separator = "|" }
mood = { separator = "|", size = 3 }

[labels.purchase]
column = "event"
positive = ["buy"]
"""
LOG: list[Row] = [
    {
        "user": 7, "item": 1, "clk": 1, "event": "buy", "pos": 2, "price": 2.5, "tags": ["a", "b"], "weights": [0.5, 1.0],
        "image": [0.25, -1.0], "interests": [5, 6], "mood": [1.0, 2.0, 3.0],
    },
    {
        "user": 7, "item": 2, "clk": 1, "event": "view", "pos": None, "price": None, "tags": [], "weights": [],
        "image": None, "interests": [8], "mood": None,
    },
]  # fmt: skip
FOUND: list[Row] = [
    {
        "user_id": 7, "candidate_item_id": 1, "label": 1, "purchase": True, "position": 2, "candidate_price": 2.5,
        "candidate_tags": [b"a", b"b"], "candidate_tag_weights": [0.5, 1.0], "candidate_image": [0.25, -1.0], "interests": [5, 6],
        "mood": [1.0, 2.0, 3.0],
    },
    {
        "user_id": 7, "candidate_item_id": 2, "label": 1, "purchase": False, "position": None, "candidate_price": None,
        "candidate_tags": [], "candidate_tag_weights": [], "candidate_image": None, "interests": [8], "mood": None,
    },
]  # fmt: skip


def read_rows(tmp_path: Path, mapping: str, rows: list[Row], suffix: str = ".jsonl", tally: Tally | None = None) -> list[Row]:
    return read(write(tmp_path / f"log{suffix}", rows), mapping, tally)


def refusal_of_rows(tmp_path: Path, mapping: str, rows: list[Row], suffix: str = ".jsonl") -> str:
    return refusal(write(tmp_path / f"log{suffix}", rows), mapping)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_kind_in_every_format(tmp_path, suffix):
    assert read_rows(tmp_path, KINDS, LOG, suffix) == FOUND


def test_the_schema_says_which_field_has_no_history(tmp_path):
    schema = source_of(write(tmp_path / "log.jsonl", LOG), KINDS).schema
    assert schema.field("candidate_image").type == pa.list_(pa.float32(), 2)
    assert schema.field("candidate_image").metadata == WITHOUT_HISTORY
    assert schema.field("candidate_tags").metadata is None and schema.field("candidate_price").metadata is None


def test_the_data_set_by_hand(tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "check_splits", lambda counts, manifest: None)
    rows = [*LOG, {**LOG[0], "item": 3, "tags": ["c", "", "d"], "weights": [1, 2, 3]}]
    mapping = KINDS + '[events]\nhistorical_actions = "event"\n'
    manifest = import_source(source_of(write(tmp_path / "log.jsonl", rows), mapping), tmp_path / "out")
    (batch,) = (batch for path in (tmp_path / "out" / "train").iterdir() for batch in read_batches(path))
    last = {name: values or [] for name, values in batch.to_pylist()[-1].items()}
    assert last["candidate_tags"] == [b"c", b"d"] and last["candidate_tag_weights"] == [1, 3]
    assert last["historical_item_ids"] == [1, 2] and last["historical_actions"] == [b"buy", b"view"]
    assert last["historical_tags"] == [b"a", b"b"] and last["historical_tags_lengths"] == [2, 0]
    assert last["historical_tag_weights"] == [0.5, 1.0]
    assert last["historical_prices"][0] == 2.5 and np.isnan(last["historical_prices"][1])
    assert "historical_images" not in last and last["purchase"] == [1] and last["position"] == [2]
    assert manifest["rows"]["notes"] == {"tags of tags have no value and are left out": 1}
    assert manifest["rules"]["purchase"] == "event of buy is 1; all others are 0"
    assert manifest["rules"]["lists"] == (
        "candidate_tags: tags, candidate_image: vector of 2, interests: tags, mood: vector of 3, "
        "candidate_tag_weights: weights of candidate_tags"
    )
    assert manifest["rules"]["events"] == "of each click, for later histories alone: historical_actions: event"


@pytest.mark.parametrize(
    ("cell", "expected", "noted"),
    [
        ("a|b", [b"a", b"b"], 0),
        ("a||b|", [b"a", b"b"], 2),
        ("", [], 0),
        (" a | b ", [b"a", b"b"], 0),
        ("['a', 'b, c']", [b"a", b"b, c"], 0),
        ("NA|a|NA", [b"a"], 2),
        ("a|a", [b"a", b"a"], 0),
    ],
)
def test_tags_as_text(tmp_path, cell, expected, noted):
    log = tmp_path / "log.csv"
    log.write_text(f'user,item,tags\nu,i,"{cell}"\n')
    mapping = f'{PLAIN}tags = "tags"\n[lists]\ntags = {{ separator = "|" }}\n[missing]\ntags = ["NA"]\n'
    tally = Tally()
    (row,) = rows_of(source_of(log, mapping), tally)
    assert row["tags"] == expected
    assert tally.notes["tags of tags have no value and are left out"] == noted


def test_whole_numbers_as_tags(tmp_path):
    """−1 is no tag, 3.0 is 3, and other negative numbers are refused."""
    mapping = PLAIN + 'tags = "t"\n[types]\ntags = "int64"\n[lists]\ntags = {}\n'
    tally = Tally()
    assert read_rows(tmp_path, mapping, [{"user": "u", "item": "i", "t": [3, -1, 4]}], tally=tally)[0]["tags"] == [3, 4]
    assert tally.notes == {"tags of t have no value and are left out": 1}
    assert "t is [3, -2], but must be a list (a whole number from 0 up each)" in refusal_of_rows(
        tmp_path, mapping, [{"user": "u", "item": "i", "t": [3, -2]}]
    )


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": [0.5]}, "image is {image}, but must be a list separated by '|' (2 of them, a number each)"),
        ({"image": [0.5, 1.0, 2.0]}, "image is {image}, but must be a list separated by '|' (2 of them, a number each)"),
        ({"weights": [0.5]}, "weights is {weights}, but must be a list separated by '|' (a number each)"),
        ({"event": None}, "event is missing, but must be text or a number"),
    ],
)
def test_a_row_that_does_not_fit_is_broken(tmp_path, suffix, change, message):
    broken = {**LOG[0], **change}
    shown = {name: repr(cell_of(value) if suffix == ".csv" else value) for name, value in change.items()}
    number = 3 if suffix == ".csv" else 2
    place = f"{'row' if suffix == '.parquet' else 'line'} {number}: "
    assert place + message.format(**shown) in refusal_of_rows(tmp_path, KINDS, [LOG[0], broken], suffix)
    tally = Tally(skip_broken=True)
    assert read_rows(tmp_path, KINDS, [LOG[0], broken, LOG[1]], suffix, tally) == FOUND
    assert tally.dropped == {"broken lines": 1}


def test_a_vector_with_a_gap_is_broken_and_an_empty_one_missing(tmp_path):
    mapping = PLAIN + 'v = "v"\n[lists]\nv = { size = 2 }\n'
    rows = [{"user": "u", "item": "i", "v": value} for value in ([1, 2.5], [], None, [None, None])]
    assert [row["v"] for row in read_rows(tmp_path, mapping, rows)] == [[1, 2.5], None, None, None]
    assert "line 1: v is [1.0, None], but must be a list (2 of them, a number each)" in refusal_of_rows(
        tmp_path, mapping, [{"user": "u", "item": "i", "v": [1.0, None]}]
    )


HISTORIES = (
    PLAIN
    + """
[types]
historical_dwell_times = "float"

[histories]
historical_item_ids = { column = "his", separator = "^" }
historical_dwell_times = { column = "dwell", separator = "^" }
historical_actions = { column = "act", separator = "^" }
historical_tags = { column = "tags", separator = "^" }
historical_images = { column = "image", separator = "^" }

[lists]
historical_tags = { separator = "|" }
historical_images = { separator = "|", size = 2 }
"""
)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_fields_of_the_events_of_the_logs_histories(tmp_path, suffix):
    """The second of four items is missing: its event is left out of all lists. The third has no dwell time, no tags and no image."""
    row = {
        "user": "u", "item": "i", "his": ["1", None, "3", "4"], "dwell": [1.5, 2.5, None, 4.5], "act": ["buy", "x", "", "cart"],
        "tags": [["a", "b"], ["x"], [], ["c"]], "image": [[1.0, 2.0], [9.0, 9.0], None, [3.0, 4.0]],
    }  # fmt: skip
    if suffix == ".csv":
        row = {name: "^".join(map(cell_of, value)) if isinstance(value, list) else value for name, value in row.items()}
    (found,) = read_rows(tmp_path, HISTORIES, [row], suffix)
    assert found["historical_item_ids"] == [b"1", b"3", b"4"]
    assert found["historical_dwell_times"][::2] == [1.5, 4.5] and np.isnan(found["historical_dwell_times"][1])
    assert found["historical_actions"] == [b"buy", b"(unknown)", b"cart"]
    assert found["historical_tags"] == [b"a", b"b", b"c"] and found["historical_tags_lengths"] == [2, 0, 1]
    assert found["historical_images"][:2] == [1, 2] and found["historical_images"][4:] == [3, 4]
    assert len(found["historical_images"]) == 6 and np.isnan(found["historical_images"][2:4]).all()


def test_labels_of_several_columns_and_a_purchase_without_a_click(tmp_path):
    mapping = PLAIN + 'label = "clk"\n[labels]\npurchase = { column = "buy" }\nlong = { column = "dwell", at_least = 30 }\n'
    tally = Tally()
    rows = [
        {"user": "u", "item": "i", "clk": clk, "buy": buy, "dwell": dwell} for clk, buy, dwell in ((1, 1, 30), (0, 1, 29.5), (1, 0, 31))
    ]
    found = read_rows(tmp_path, mapping, rows, tally=tally)
    assert [(row["label"], row["purchase"], row["long"]) for row in found] == [(1, True, True), (0, True, False), (1, False, True)]
    assert tally.warnings == {"rows have the label purchase without a click": 1}
    assert "line 1: buy is 2, but must be 0 or 1" in refusal_of_rows(
        tmp_path, mapping, [{"user": "u", "item": "i", "clk": 1, "buy": 2, "dwell": 1}]
    )


def test_what_is_known_after_a_click(tmp_path):
    mapping = PLAIN + '[types]\nhistorical_dwell_times = "float"\n[events]\nhistorical_dwell_times = "dwell"\n'
    source = source_of(write(tmp_path / "log.jsonl", [{"user": "u", "item": "i", "dwell": 2.5}]), mapping)
    (row,) = rows_of(source)
    assert row == {"label": 1, "user_id": b"u", "candidate_item_id": b"i", f"{EVENT}dwell_times": 2.5}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("[lists]\nuser_id = {}", "lists.user_id names no feature that can have several values"),
        ("[lists]\nnope = {}", "lists.nope names no feature that can have several values"),
        ('t = "t"\n[lists]\nt = { size = 2, weights = "w" }', "size is for vectors, weights is for tags"),
        ('t = "t"\n[lists]\nt = { weights = "w" }', "lists.t.weights names 'w', which must be a feature of the same table as t"),
        ('t = "t"\n[types]\nt = "int64"\n[lists]\nt = { size = 2 }', "types.t is int64, but a vector"),
        ('t = "t"\n[types]\nt = "float"\n[lists]\nt = {}', "types.t is float, but tags are bytes or int64"),
        ('t = "t"\nw = "w"\n[types]\nw = "int64"\n[lists]\nt = { weights = "w" }', "types.w is int64, but weights are floats"),
        ('t = "t"\n[lists]\nt = { history = true }', "lists.t.history is for fields of the item"),
        ('t = "t"\n[labels]\nt = { column = "x" }', "t is in columns and in labels"),
        (
            '[labels]\npurchase = { column = "x", positive = ["a"], negative = ["b"] }',
            "labels.purchase needs a column, and has no negative",
        ),
        ("[labels]\npurchase = {}", "labels.purchase needs a column"),
        ('[labels]\ncandidate_x = { column = "x" }', "labels.candidate_x has a name that means something else"),
        ('[events]\ndwell = "d"', "events.dwell must be called historical_…s"),
        ('candidate_price = "p"\n[events]\nhistorical_prices = "d"', "events.historical_prices must be called"),
        ('[events]\nhistorical_x = "d"\n[histories]\nhistorical_item_ids = { column = "h" }', "events are for histories that are built"),
        (
            '[users]\nfile = "u.csv"\nid = "u"\ncolumns = { candidate_x = "x" }',
            "'candidate_x' is the name of an item's field or of a history",
        ),
        ('[users]\nfile = "u.csv"', "it needs file, id and columns"),
        ('[types]\ncandidate_item_id = "float"', "types.candidate_item_id is float, but ids are bytes or int64"),
    ],
)
def test_a_wrong_mapping_is_one_sentence(tmp_path, more, message):
    assert message in refusal_of_rows(tmp_path, PLAIN + more, [{"user": "u", "item": "i"}])


def test_the_mapping_and_the_configuration_of_the_docs(tmp_path, monkeypatch):
    """docs/click-log.md has both; each feature of the second one is in the data that the first one makes."""
    monkeypatch.setattr(importing, "check_splits", lambda counts, manifest: None)
    mapping, config = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "click-log.md").read_text(encoding="utf-8"), re.DOTALL)
    log = tmp_path / "log.csv"
    log.write_text(
        "user,item,clicked,place,price,tags,weights,image,event\n"
        "u,i1,1,0,9.5,sport|outdoor,0.9|0.4,0.12|-0.5|0.33|0.8,buy\nu,i2,0,3,,,,,view\n"
    )
    (tmp_path / "clicks.toml").write_text('name = "clicks"\n' + config)
    import_source(source_of(log, mapping), tmp_path / "out")
    (batch,) = (batch for path in (tmp_path / "out" / "train").iterdir() for batch in read_batches(path))
    features = load_config(str(tmp_path / "clicks.toml")).features
    wanted = {column.name for column in (*features.columns, *features.kept_columns)} - {"candidate_category_id", "historical_category_ids"}
    assert wanted - {*batch.schema.names} == set()
    assert {"purchase", "position", "historical_tag_weights"} <= wanted
