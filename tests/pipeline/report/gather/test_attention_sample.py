"""Which impressions are explained, and that each event has its own weight."""

import json

import pytest
import tensorflow as tf

from pipeline.datasets.layout import split_files
from pipeline.report.gather.attention_sample import sample_attention
from tests.sample_data import write_dataset

CATEGORY = {"candidate": "candidate_category_id", "history": "historical_category_ids", "dtype": "bytes"}
BEHAVIOURS = {"item": {"candidate": "candidate_item_id", "history": "historical_item_ids"}, "category": CATEGORY}


class Model(tf.Module):
    """Keeps three events. The weight of an event is its item id / 10; the probability is the candidate's item id / 100."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def explain(self, examples):
        spec = {"historical_item_ids": tf.io.RaggedFeature(tf.int64), "candidate_item_id": tf.io.FixedLenFeature([], tf.int64)}
        parsed = tf.io.parse_example(examples, spec)
        kept = parsed["historical_item_ids"][:, -3:].to_tensor(0, shape=[None, 3])
        return {"probability": tf.cast(parsed["candidate_item_id"], tf.float32) / 100, "clicks_attention": tf.cast(kept, tf.float32) / 10}


def write_model(folder, signature="explain"):
    module = Model()
    tf.saved_model.save(module, str(folder), signatures={signature: module.explain})
    (folder / "assets.extra").mkdir()
    config = {"features": {"history_length": 3, "behaviours": BEHAVIOURS}}
    (folder / "assets.extra" / "din.json").write_text(json.dumps({"config": config}))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "1")


def impressions(*rows):
    """Makes columns of rows of (user, candidate, history, label)."""
    users, candidates, histories, labels = (list(column) for column in zip(*rows, strict=True))
    return {
        "user_id": users,
        "candidate_item_id": candidates,
        "candidate_category_id": [b"c%d" % candidate for candidate in candidates],
        "historical_item_ids": histories,
        "historical_category_ids": [[b"c%d" % item for item in history] for history in histories],
        "label": labels,
    }


def explained(model, data, count):
    return [sample["candidate"]["candidate_item_id"] for sample in sample_attention(model, split_files(data, "eval"), count)]


def test_each_event_has_its_own_weight_and_raw_values(model, tmp_path):
    data = write_dataset(tmp_path / "data", {"eval": impressions((1, 50, [9, 1, 2, 3], 1), (2, 60, [4, 5], 0))})
    clicked, other = sample_attention(model, split_files(data, "eval"), 2)
    assert (clicked["label"], clicked["candidate"]) == (1, {"candidate_item_id": 50, "candidate_category_id": "c50"})
    assert clicked["probability"] == pytest.approx(0.5)
    (sequence,) = clicked["sequences"]
    assert sequence["name"] == "clicks"
    assert [event.pop("weight") for event in sequence["events"]] == pytest.approx([0.1, 0.2, 0.3])  # the most recent three
    assert sequence["events"] == [{"historical_item_ids": item, "historical_category_ids": f"c{item}"} for item in (1, 2, 3)]
    assert [event["weight"] for event in other["sequences"][0]["events"]] == pytest.approx([0.4, 0.5])
    json.dumps([clicked, other])


def test_half_are_clicked_of_different_users_with_several_events(model, tmp_path):
    long = [1, 2, 3]
    rows = [(1, 10, long, 0), (1, 11, long, 0), (2, 12, [1, 2], 1), (3, 13, long, 0), (1, 14, long, 1), (4, 15, long, 1), (5, 16, long, 1)]
    data = write_dataset(tmp_path / "data", {"eval": impressions(*rows)})
    assert explained(model, data, 4) == [15, 16, 10, 13]


def test_others_make_up_the_number_but_none_without_a_history(model, tmp_path):
    rows = [(1, 10, [1, 2, 3], 0), (1, 11, [1, 2, 3], 0), (2, 12, [], 1), (3, 13, [7], 1)]
    data = write_dataset(tmp_path / "data", {"eval": impressions(*rows)})
    assert explained(model, data, 4) == [10, 11, 13]


def test_no_impression_has_a_history(model, tmp_path):
    data = write_dataset(tmp_path / "data", {"eval": impressions((1, 10, [], 0), (1, 11, [], 1))})
    assert sample_attention(model, split_files(data, "eval")) == []


def test_no_more_is_read_than_needed(model, tmp_path):
    data = write_dataset(tmp_path / "data", {"eval": impressions((1, 10, [1, 2, 3], 0), (2, 11, [1, 2, 3], 1))})
    (data / "eval" / "part-00001.tfrecord.gz").write_bytes(b"damaged")
    assert explained(model, data, 2) == [11, 10]


def test_a_model_without_the_signature_explains_nothing(tmp_path):
    data = write_dataset(tmp_path / "data", {"eval": impressions((1, 10, [1, 2, 3], 0))})
    assert sample_attention(write_model(tmp_path / "1", "serving_default"), split_files(data, "eval")) is None
