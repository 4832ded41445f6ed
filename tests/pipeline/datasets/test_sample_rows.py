"""The sample of a data set has the fields of events in the form that `din predict` takes."""

import json

import pyarrow as pa

from components.serving.model.impression_tensors import predict_tensors
from din_trainer.features import FeatureConfig
from pipeline.datasets.sample_rows import nested_lists, to_json_rows
from tests.sample_data import make_column, write_dataset

NAN = float("nan")
COLUMNS = {
    "label": [1, 0, 1], "candidate_item_id": [5, 3, 4], "genres": [[1, 2], [], [3]], "image": [[0.5, 1.0], [], [2.0, 3.0]],
    "historical_item_ids": [[3, 4], [], [9]],
    "historical_prices": [[NAN, 2.5], [], [1.5]],
    "historical_words": [[b"x", b"y"], [], [b"z"]], "historical_words_lengths": [[2, 0], [], [1]],
    "historical_tags": [[b"x", b"y", b"a"], [], []], "historical_tags_lengths": [[2, 1], [], [0]],
    "historical_tag_weights": [[0.5, 1.0, 2.0], [], []],
    "historical_images": [[NAN, NAN, 1.0, 2.0], [], [3.0, 4.0]],
}  # fmt: skip
FEATURES = FeatureConfig.model_validate(
    {
        "behaviours": {"item": {"candidate": "candidate_item_id", "history": "historical_item_ids"}},
        "user": {},
        "candidate": {"genres": {"kind": "tags"}, "image": {"kind": "vector", "size": 2}},
        "events": {
            "clicks": {
                "historical_prices": {"kind": "numeric", "dtype": "float"},
                "historical_words": {"kind": "tags", "dtype": "bytes", "lengths": "historical_words_lengths"},
                "historical_tags": {
                    "kind": "tags", "dtype": "bytes", "lengths": "historical_tags_lengths", "weights": "historical_tag_weights",
                },
                "historical_images": {"kind": "vector", "size": 2},
            }
        },
    }
)  # fmt: skip


def test_the_sample_has_an_element_for_each_event_and_is_what_the_model_reads(tmp_path):
    data = write_dataset(tmp_path / "d", {"eval": COLUMNS})
    rows = [json.loads(line) for line in (data / "sample.jsonl").read_text().splitlines()]
    assert rows[0] == {
        "label": 1, "candidate_item_id": 5, "genres": [1, 2], "image": [0.5, 1.0], "historical_item_ids": [3, 4],
        "historical_prices": [None, 2.5], "historical_words": [["x", "y"], []], "historical_tags": [["x", "y"], ["a"]],
        "historical_tag_weights": [[0.5, 1.0], [2.0]], "historical_images": [None, [1.0, 2.0]],
    }  # fmt: skip
    tensors = predict_tensors(rows, FEATURES)
    assert tensors["historical_tag_weights"].tolist() == [[[0.5, 1.0], [2.0, 0.0]], [[0.0, 0.0]] * 2, [[0.0, 0.0]] * 2]
    assert tensors["image"].shape == (3, 2)


def test_numbers_of_events_are_no_vectors_and_scalars_no_lists():
    batch = pa.RecordBatch.from_pydict({name: make_column(COLUMNS[name]) for name in ("label", "historical_item_ids", "historical_prices")})
    assert nested_lists(batch) == {}
    assert to_json_rows(batch, {"label"})[0] == {"label": 1, "historical_item_ids": [3, 4], "historical_prices": [None, 2.5]}
