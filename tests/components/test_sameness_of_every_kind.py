"""Sameness of an export that has every kind of feature in every role, and two labels."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.exports.every_kind import FEATURES, random_impressions
from components.base.saved_models import load_saved_model
from components.sameness import at_the_newest, compare, trained_scores
from components.serving.model.impression_tensors import as_impressions, predict_tensors, to_example
from components.serving.model.loaded_model import LoadedModel
from components.serving.sample_impressions import make_sample, read_impressions
from din_trainer.features import FeatureConfig
from din_trainer.raw_inputs import data_inputs
from din_trainer.transform.raw_schema import make_schema

SAMPLE = make_sample(random_impressions(12, seed=7), FEATURES)
ROWS = as_impressions(SAMPLE.users, SAMPLE.candidates)


@pytest.fixture(scope="module")
def compared(export_of_every_kind):
    return compare(export_of_every_kind.saved_model, export_of_every_kind.model, export_of_every_kind.transform_output, SAMPLE, 1e-6)


def test_the_rare_users_by_hand():
    short, long, odd, last = SAMPLE.users[-4:]
    assert (short["interests"], short["face"], short["age"], short["cart_options"], short["historical_images"]) == (
        None,
        None,
        None,
        [],
        [],
    )
    assert short["user_id"] == SAMPLE.users[0]["user_id"]
    kept = FEATURES.history_length
    assert long["historical_item_ids"] in [row["historical_item_ids"] * n for row in SAMPLE.users for n in range(1, kept + 2)]
    assert kept < len(long["historical_item_ids"])
    assert {len(long[name]) for name in long if name.startswith("historical_")} == {len(long["historical_item_ids"])}
    assert odd["interests"] == ["never seen"] * 6 and odd["interest_weights"] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]  # 3 are read
    assert odd["spent"] == 1e30 and odd["hour"] == 2**62 and odd["face"] == [0.0] * 3 and odd["device"] == "never seen"
    assert odd["historical_prices"][:2] == [1e30, -1e30] and odd["historical_images"][:2] == [[0.0, 0.0], None]
    assert odd["historical_words"][0] == ["never seen"] * 5 and len(odd["historical_word_weights"][0]) == 5
    assert last == SAMPLE.users[0] | {"position": last["position"]}
    strange, few = SAMPLE.candidates[-1][:2]
    assert (strange["genres"], strange["price"], strange["brand"]) == ([2**62] * 5, 1e30, "never seen")
    assert few == {**dict.fromkeys(strange), "candidate_item_id": 2**62, "candidate_category_id": "never seen"}


def test_an_export_of_every_kind_gives_the_trained_models_scores(compared):
    expected, found = compared
    assert found["refused_because"] is None and 0 < found["largest_difference"] <= found["allowed"] <= 2e-5
    assert expected.shape == (len(ROWS), 2) and len(np.unique(expected.round(4), axis=0)) > len(ROWS) / 2


def test_a_difference_of_a_further_label_alone_is_found(export_of_every_kind):
    """Both labels have a tower of their own; only the second one's changes."""
    model = export_of_every_kind.model
    towers = [weight for weight in model.weights if weight.path.endswith("purchase/logit/bias") or "purchase" in weight.path]
    assert towers
    before = [np.array(weight) for weight in towers]
    try:
        for weight, value in zip(towers, before, strict=True):
            weight.assign(value + 0.05)
        expected, found = compare(export_of_every_kind.saved_model, model, export_of_every_kind.transform_output, SAMPLE, 1e-6)
    finally:
        for weight, value in zip(towers, before, strict=True):
            weight.assign(value)
    first, _ = trained_scores(model, export_of_every_kind.transform_output, ROWS)
    np.testing.assert_allclose(expected[:, 0], first[:, 0], rtol=0, atol=1e-6)
    assert found["largest_difference"] > 1e-4 and "off the trained model's" in found["refused_because"]


def test_a_score_depends_on_its_own_impression_alone(export_of_every_kind, compared):
    """In TensorFlow's C++ loader, in another order, in other batches, with more padding of events and of tags."""
    expected, _ = compared
    order = np.random.default_rng(0).permutation(len(ROWS))
    shuffled = [ROWS[i] for i in order]
    with LoadedModel(export_of_every_kind.saved_model, threads=2) as model:
        examples = np.array([to_example(row, FEATURES) for row in shuffled], object)
        for output, label in (("probability", 0), ("probability_purchase", 1)):
            scores = [model.run("serving_default", {"examples": part})[output] for part in np.split(examples, [1, 5, 6, 20])]
            np.testing.assert_allclose(np.concatenate(scores), expected[order, label], rtol=0, atol=2e-5)
            for pad_to in (1, 40):
                wide = model.run("predict", predict_tensors(shuffled, FEATURES, pad_to))[output]
                np.testing.assert_allclose(wide, expected[order, label], rtol=0, atol=2e-5)


def test_impressions_of_the_data_are_read_as_rows(tmp_path):
    rows = random_impressions(20, seed=3)
    file = tmp_path / "data.gz"
    with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
        for row in rows:
            writer.write(to_example(row, data_inputs(FEATURES)))
    found = list(read_impressions([str(file)], make_schema(FEATURES), FEATURES))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for row, read in zip(rows, found, strict=True):
        expected = {
            name: (None if value == [] and name in ("interests", "interest_weights", "genres") else value) for name, value in row.items()
        }
        assert to_example(read, data_inputs(FEATURES)) == to_example(expected, data_inputs(FEATURES))


def test_the_export_names_its_dimensions(export_of_every_kind):
    """A client that knows the signatures alone finds histories, tags and vectors by these names."""
    from components.base.tfx_pins import read_meta_graph

    signatures = read_meta_graph(export_of_every_kind.saved_model).signature_def
    names = {key: [dim.name for dim in signatures["rank"].inputs[key].tensor_shape.dim] for key in ("genres", "cart_options", "image")}
    assert names == {
        "genres": ["value", "candidates", "tags of genres"], "cart_options": ["value", "events of cart", "tags of cart_options"],
        "image": ["value", "candidates", ""],
    }  # fmt: skip
    assert load_saved_model(Path(export_of_every_kind.saved_model)).signatures["predict"]


def test_rows_of_tables_with_times_are_the_newest(tmp_path, monkeypatch):
    (tmp_path / "items.csv").write_text("item,from,price\n1,100,2.5\n1,5000,3.5\n")
    features = FeatureConfig.model_validate(
        {
            "time_gap": True,
            "lookups": {"items": {"table": str(tmp_path / "items.csv"), "key": "item", "of": "candidate_item_id", "valid_from": "from"}},
            "candidate": {"price": {"kind": "numeric", "dtype": "float", "lookup": "items"}},
        }
    )
    rows = [{"timestamp": 400, "user_id": 1}, {"timestamp": 6000}, {"user_id": 3}]
    assert at_the_newest(rows, features) == [{"timestamp": 5000, "user_id": 1}, {"timestamp": 6000}, {"user_id": 3}]
