"""From raw impressions through Transform to the signatures of the SavedModel, on a case small enough to work out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.export import export
from din_trainer.features import LABEL, FeatureConfig
from din_trainer.model import make_model
from din_trainer.vocabularies import vocabulary_sizes
from tests.din_trainer import textbook
from tests.transforming import analyse, parse, to_example, with_large_weights

FEATURES = FeatureConfig.model_validate(
    {
        "history_length": 3,
        "behaviours": {
            "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "dim": 4},
            "category": {
                "candidate": "candidate_category_id",
                "history": "historical_category_ids",
                "dtype": "bytes",
                "dim": 2,
                "min_count": 2,
            },
        },
        "user": {"user_id": {"dim": 2}, "age_group": {"dtype": "bytes", "dim": 2, "oov_buckets": 2}},
        "context": {"hour": {"kind": "numeric"}, "price": {"kind": "numeric", "dtype": "float"}},
    }
)

ROWS = [
    {  # items 7, 0, 3, 9 occur 4, 3, 2 and 1 times, as candidates and in histories together
        "user_id": 0, "age_group": "young", "candidate_item_id": 7, "candidate_category_id": "a",
        "historical_item_ids": [9, 7, 0, 7], "historical_category_ids": ["b", "a", "a", "a"], "hour": 2, "price": 1.0, "label": 1,
    },
    {
        "user_id": 5, "age_group": None, "candidate_item_id": 0, "candidate_category_id": "a",
        "historical_item_ids": [], "historical_category_ids": [], "hour": 6, "price": None, "label": 0,
    },
    {
        "user_id": 5, "age_group": "old", "candidate_item_id": 3, "candidate_category_id": "c",
        "historical_item_ids": [7, 0, 3], "historical_category_ids": ["a", "c", "b"], "hour": None, "price": 3.0, "label": 0,
    },
]  # fmt: skip

# item ids: 7 -> 1, 0 -> 2, 3 -> 3, 9 -> 4, out of vocabulary 5
# categories a (5), then c and b (2 each; equal counts in falling order), so a -> 1, c -> 2, b -> 3, out of vocabulary 4
# user ids by count: 5 -> 1, 0 -> 2, out of vocabulary 3; age groups: "young" -> 1, "old" -> 2, out of vocabulary 3 and 4
EXPECTED = {
    "candidate_item_id": [1, 2, 3],
    "historical_item_ids": [[1, 2, 1], [0, 0, 0], [1, 2, 3]],
    "candidate_category_id": [1, 1, 2],
    "historical_category_ids": [[1, 1, 1], [0, 0, 0], [1, 2, 3]],
    "user_id": [2, 1, 1],
    "hour": [-1.0, 1.0, 0.0],  # mean 4, deviation 2; missing is the mean
    "price": [-1.0, 0.0, 1.0],
    "label": [1, 0, 0],
}


@pytest.fixture(scope="module")
def transform_output(tmp_path_factory):
    return analyse(ROWS, FEATURES, tmp_path_factory.mktemp("transform"))


def test_transformed_features_by_hand(transform_output):
    outputs = transform_output.transform_raw_features(parse(ROWS, FEATURES))
    assert transform_output.vocabulary_by_name("item") == [b"7", b"0", b"3", b"9"]
    for name, values in EXPECTED.items():
        np.testing.assert_allclose(outputs[name], values, rtol=1e-6, err_msg=name)
    assert sorted(np.array(outputs["age_group"])[[0, 2]]) == [1, 2] and outputs["age_group"][1] in (3, 4)


def test_unknown_values_have_buckets_of_their_own(transform_output):
    row = {**ROWS[0], "candidate_item_id": 12345, "historical_item_ids": [9, 888, 7], "historical_category_ids": ["b", "zzz", "a"]}
    outputs = transform_output.transform_raw_features(parse([row], FEATURES))
    np.testing.assert_array_equal(outputs["candidate_item_id"], [5])
    np.testing.assert_array_equal(outputs["historical_item_ids"], [[4, 5, 1]])
    np.testing.assert_array_equal(outputs["historical_category_ids"], [[3, 4, 1]])


@pytest.fixture(scope="module")
def model(transform_output):
    tf.random.set_seed(0)
    sizes = vocabulary_sizes(FEATURES.vocabularies, transform_output)
    assert sizes == {"item": 6, "category": 5, "user_id": 4, "age_group": 5}
    model = make_model(DINConfig(features=FEATURES), sizes)
    return with_large_weights(model)


@pytest.fixture(scope="module")
def exported(model, transform_output, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "1"
    export(model, transform_output, str(folder))
    return tf.saved_model.load(str(folder))


def score(exported, rows):
    return exported.signatures["serving_default"](examples=tf.constant([to_example(row) for row in rows]))["probability"].numpy()


def raw_tensors(rows, pad_to=5):
    def scalar(name, missing):
        return [missing if row[name] is None else row[name] for row in rows]

    def history(name, padding):
        return [row[name] + [padding] * (pad_to - len(row[name])) for row in rows]

    return {
        "user_id": tf.constant(scalar("user_id", -1), tf.int64),
        "age_group": tf.constant(scalar("age_group", "")),
        "candidate_item_id": tf.constant(scalar("candidate_item_id", -1), tf.int64),
        "candidate_category_id": tf.constant(scalar("candidate_category_id", "")),
        "historical_item_ids": tf.constant(history("historical_item_ids", -1), tf.int64),
        "historical_category_ids": tf.constant(history("historical_category_ids", "")),
        "hour": tf.constant(scalar("hour", float("nan")), tf.float32),
        "price": tf.constant(scalar("price", float("nan"))),
    }


def test_serving_scores_are_the_model_s_own(model, transform_output, exported):
    transformed = transform_output.transform_raw_features(parse(ROWS, FEATURES))
    expected = tf.sigmoid(model({name: values for name, values in transformed.items() if name != LABEL}))
    assert len(set(np.round(expected, 4))) == 3
    np.testing.assert_allclose(score(exported, ROWS), expected, atol=1e-6)


@pytest.mark.parametrize("pad_to", [4, 5, 40])
def test_raw_tensors_score_as_examples_do(exported, pad_to):
    np.testing.assert_allclose(exported.signatures["predict"](**raw_tensors(ROWS, pad_to))["probability"], score(exported, ROWS), atol=1e-6)


def test_a_negative_number_is_a_number(exported):
    """−1 stands for no id, but a temperature may be −1."""
    rows = [{**ROWS[0], "hour": -1}]
    np.testing.assert_allclose(exported.signatures["predict"](**raw_tensors(rows))["probability"], score(exported, rows), atol=1e-6)
    assert abs(score(exported, rows) - score(exported, ROWS[:1])) > 1e-4


def test_an_event_without_a_category_keeps_its_place(exported):
    rows = [{**ROWS[2], "historical_category_ids": ["a", "", "b"]}]
    np.testing.assert_allclose(exported.signatures["predict"](**raw_tensors(rows))["probability"], score(exported, rows), atol=1e-6)


def test_labels_and_missing_optional_features_are_not_asked_for(exported):
    needed = {"user_id", "candidate_item_id", "candidate_category_id"}
    bare = [{name: value for name, value in row.items() if name in needed} for row in ROWS]
    assert np.isfinite(score(exported, bare)).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match="candidate_item_id"):
        score(exported, [{"user_id": 1, "candidate_category_id": "a"}])


def test_a_score_does_not_depend_on_batch_mates(exported):
    together = score(exported, ROWS * 300)
    for i, row in enumerate(ROWS):
        np.testing.assert_allclose(together[i::3], score(exported, [row])[0], atol=1e-6)


def test_older_events_than_the_model_keeps_do_not_matter(exported):
    long = {**ROWS[0], "historical_item_ids": [3] * 50 + [7, 0, 7], "historical_category_ids": ["c"] * 50 + ["a", "a", "a"]}
    np.testing.assert_allclose(score(exported, [long]), score(exported, ROWS[:1]), atol=1e-6)


def test_an_empty_batch_gives_no_scores(exported):
    assert exported.signatures["serving_default"](examples=tf.constant([], tf.string))["probability"].shape == (0,)


def test_transform_features_signature(exported):
    outputs = exported.signatures["transform_features"](examples=tf.constant([to_example(row) for row in ROWS]))
    assert LABEL not in outputs
    np.testing.assert_array_equal(outputs["historical_item_ids"], EXPECTED["historical_item_ids"])


def explain(exported, rows):
    outputs = exported.signatures["explain"](examples=tf.constant([to_example(row) for row in rows]))
    return {name: values.numpy() for name, values in outputs.items()}


def test_explain_gives_the_weight_of_each_event(model, exported):
    items, categories = (np.array(model.tables[name].embeddings) for name in ("item", "category"))
    queries = np.concatenate([items[EXPECTED["candidate_item_id"]], categories[EXPECTED["candidate_category_id"]]], 1)
    keys = np.concatenate([items[EXPECTED["historical_item_ids"]], categories[EXPECTED["historical_category_ids"]]], 2)
    expected = np.zeros((3, 3))
    for b in (0, 2):  # the second history is empty
        expected[b] = [textbook.attention_weight(model.attention["clicks"], queries[b], key) for key in keys[b]]
    outputs = explain(exported, ROWS)
    assert set(outputs) == {"probability", "clicks_attention"} and outputs["clicks_attention"].dtype == np.float32
    assert len(set(expected.round(3).flat)) == 6  # the first history holds one event twice
    np.testing.assert_allclose(outputs["clicks_attention"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs["probability"], score(exported, ROWS), atol=1e-6)


def test_explain_shows_the_most_recent_events_and_pads_behind_them(exported):
    short = {**ROWS[2], "historical_item_ids": [7, 0], "historical_category_ids": ["a", "c"]}
    long = {**ROWS[2], "historical_item_ids": [3] * 50 + [7, 0, 3], "historical_category_ids": ["c"] * 50 + ["a", "c", "b"]}
    few, many, whole = explain(exported, [short, long, ROWS[2]])["clicks_attention"]
    assert (whole != 0).all()
    np.testing.assert_allclose(many, whole, rtol=1e-6)
    np.testing.assert_allclose(few, [*whole[:2], 0], rtol=1e-6)


@pytest.mark.parametrize("settings", [{"kind": "base"}, {"history": False}], ids=str)
def test_a_model_without_attention_explains_nothing(settings, transform_output, tmp_path):
    config = DINConfig.model_validate({"features": FEATURES, "model": settings})
    export(make_model(config, vocabulary_sizes(FEATURES.vocabularies, transform_output)), transform_output, str(tmp_path / "1"))
    assert set(tf.saved_model.load(str(tmp_path / "1")).signatures) == {"serving_default", "predict", "transform_features"}
