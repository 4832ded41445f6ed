"""Logged requests with every kind of feature become rows of a data set: what was sent comes back, without padding."""

import json

import numpy as np
import pytest

from components.serving.model.impression_tensors import predict_tensors, rank_tensors, to_example
from components.serving.requests.request_columns import declared_columns
from components.serving.requests.request_logs import read_log
from components.serving.requests.request_rows import UnreadableRequest, rows_of
from tests.components.serving.model.every_kind import EXAMPLE, FEATURES, ROW
from tests.components.serving.requests.test_request_rows import make_log

COLUMNS = declared_columns(FEATURES)
LISTS = {"interests", "interest_weights", "face", "genres", "image"}
EXPECTED = {name: values if name in LISTS or name.startswith("historical_") else values[0] for name, values in EXAMPLE.items()}


@pytest.mark.parametrize("pad_to", [1, 5])
def test_tensors_of_predict_come_back(pad_to):
    (row,) = rows_of(make_log("predict", predict_tensors([ROW], FEATURES, pad_to)), COLUMNS)
    np.testing.assert_equal(row, EXPECTED)


def test_examples_come_back():
    (row,) = rows_of(make_log("serving_default", {"examples": np.array([to_example(ROW, FEATURES)], object)}), COLUMNS)
    np.testing.assert_equal(row, EXPECTED)


def test_each_candidate_of_rank_has_its_own_price_tags_and_vector():
    first = {"candidate_item_id": 3, "price": 2.5, "genres": [4, 5], "image": [1.0, 2.0], "brand": "x"}
    second = {"candidate_item_id": 9, "price": None, "genres": [], "image": None}
    user = {name: value for name, value in EXPECTED.items() if name not in first}
    rows = rows_of(make_log("rank", rank_tensors([ROW, ROW], [[first, second], [second]], FEATURES)), COLUMNS)
    assert len(rows) == 3  # the padding of the second user's list is no candidate
    np.testing.assert_equal(rows[0], {**user, **first, "brand": b"x"})
    np.testing.assert_equal(rows[1], {**user, "candidate_item_id": 9})
    np.testing.assert_equal(rows[2], {**user, "candidate_item_id": 9})


def test_padding_between_the_events_goes_with_its_fields():
    tensors = predict_tensors([ROW], FEATURES)
    tensors["historical_item_ids"] = np.array([[-1, 2]])
    (row,) = rows_of(make_log("predict", tensors), COLUMNS)
    expected = {"historical_item_ids": [2], "historical_prices": [2.5], "historical_actions": [3], "historical_word_counts": [0],
                "historical_images": [1.0, 2.0]}  # fmt: skip
    assert {name: value for name, value in row.items() if name.startswith("historical_")} == expected


def test_lines_of_json_are_read_as_din_predict_takes_them(tmp_path):
    """One tag may stand without its list, but not a vector."""
    file = tmp_path / "log.jsonl"
    changes = [{"request_id": "r"}, {"genres": 4}, {"face": 1.5}]
    file.write_text("".join(json.dumps(ROW | change) + "\n" for change in changes))
    sound, alone, broken = read_log(file, COLUMNS)
    np.testing.assert_equal([*sound.rows, *alone.rows], [{**EXPECTED, "request_id": b"r"}, EXPECTED])
    assert "input 'face' must have a list for each row" in broken.fault


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"genres": np.array([4])}, "input 'genres' must have a list for each row"),
        ({"historical_words": np.array([[b"x", b"y"]], object)}, "input 'historical_words' must have a list for each event"),
        ({"interest_weights": np.array([[1.0]], np.float32)}, "the lists 'interest_weights' and 'interests' differ in length"),
        ({"historical_images": np.ones((1, 1, 2), np.float32)}, "the histories 'historical_item_ids' and 'historical_images' differ"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(change, reason):
    with pytest.raises(UnreadableRequest, match=reason):
        rows_of(make_log("predict", predict_tensors([ROW], FEATURES) | change), COLUMNS)
