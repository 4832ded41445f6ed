"""From raw impressions through Transform to the signatures of the SavedModel, in a case small enough to compute by hand."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.exports.transform_analysis import analyse
from components.serving.model.impression_tensors import as_impressions, predict_tensors, rank_tensors
from din_trainer.config import DINConfig
from din_trainer.export.signatures import ServingModel, export
from din_trainer.features import LABEL, FeatureConfig
from din_trainer.models.make_model import MODELS, make_model
from din_trainer.training.initial_tables import vocabulary_sizes
from tests.din_trainer import textbook
from tests.din_trainer.export.test_stored_weights import constants
from tests.transforming import as_tensors, parse, to_example, with_large_weights

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
def folder(model, transform_output, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "1"
    export(model, transform_output, str(folder))
    return folder


@pytest.fixture(scope="module")
def exported(folder):
    return tf.saved_model.load(str(folder))


def score(exported, rows):
    return exported.signatures["serving_default"](examples=tf.constant([to_example(row) for row in rows]))["probability"].numpy()


def raw_tensors(rows, pad_to=0):
    """Inputs of `predict`, with histories padded to at least `pad_to` events."""
    tensors = predict_tensors(rows, FEATURES)
    for name in ("historical_item_ids", "historical_category_ids"):
        missing, short = (-1 if name == "historical_item_ids" else b""), max(0, pad_to - tensors[name].shape[1])
        tensors[name] = np.pad(tensors[name], [(0, 0), (0, short)], constant_values=missing)
    return as_tensors(tensors)


def test_serving_scores_are_the_model_s_own(model, transform_output, exported):
    transformed = transform_output.transform_raw_features(parse(ROWS, FEATURES))
    expected = tf.sigmoid(model({name: values for name, values in transformed.items() if name != LABEL}))
    assert len(set(np.round(expected, 4))) == 3
    np.testing.assert_allclose(score(exported, ROWS), expected, atol=1e-6)


@pytest.mark.parametrize("pad_to", [0, 5, 40])
def test_raw_tensors_score_as_examples_do(exported, pad_to):
    np.testing.assert_allclose(exported.signatures["predict"](**raw_tensors(ROWS, pad_to))["probability"], score(exported, ROWS), atol=1e-6)


def test_a_negative_number_is_a_number(exported):
    """−1 stands for no id, but a temperature may be −1."""
    rows = [{**ROWS[0], "hour": -1}]
    np.testing.assert_allclose(exported.signatures["predict"](**raw_tensors(rows))["probability"], score(exported, rows), atol=1e-6)
    assert abs(score(exported, rows) - score(exported, ROWS[:1])) > 1e-4


def test_an_event_without_a_partner_gets_the_missing_value(exported):
    rows = [{**ROWS[2], "historical_category_ids": ["a", "c"]}, ROWS[0]]
    named = [{**ROWS[2], "historical_category_ids": ["a", "c", ""]}, ROWS[0]]
    np.testing.assert_allclose(score(exported, rows), score(exported, named), atol=1e-6)
    tensors = raw_tensors([ROWS[2]]) | {"historical_category_ids": tf.constant([["a", "c", ""]])}
    np.testing.assert_allclose(exported.signatures["predict"](**tensors)["probability"], score(exported, rows[:1]), atol=1e-6)


def test_labels_and_missing_optional_features_are_not_needed(exported):
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


CANDIDATES = [
    {"candidate_item_id": item, "candidate_category_id": category} for item, category in ((7, "a"), (3, "c"), (999, "?"), (9, "b"))
]


def rank(exported, users, candidates):
    return exported.signatures["rank"](**as_tensors(rank_tensors(users, candidates, FEATURES)))["probability"].numpy()


def test_rank_scores_each_candidate_of_each_user(exported):
    users, candidates = ROWS, [CANDIDATES, CANDIDATES[::-1], CANDIDATES]
    scores = rank(exported, users, candidates)
    assert scores.shape == (3, 4) and len(set(scores.round(4).flat)) == 12
    np.testing.assert_allclose(scores.ravel(), score(exported, as_impressions(users, candidates)), atol=1e-6)


def test_rank_of_fewer_candidates_is_padded(exported):
    scores = rank(exported, ROWS[:2], [CANDIDATES, CANDIDATES[:1]])
    assert scores.shape == (2, 4) and np.isfinite(scores).all()
    np.testing.assert_allclose(scores[1, 0], rank(exported, ROWS[1:2], [CANDIDATES[:1]])[0, 0], atol=1e-6)


def test_rank_of_no_users_gives_no_scores(exported):
    assert rank(exported, [], []).shape == (0, 1)


def test_each_weight_is_stored_once(model, folder):
    """Tables are variables. The kernels are constants, of which all signatures share one copy."""
    tables = [tuple(model.tables[name].embeddings.shape) for name in FEATURES.tables]
    stored = {name: shape for name, shape in tf.train.list_variables(str(folder / "variables" / "variables")) if name.startswith("tables")}
    assert sorted(map(tuple, stored.values())) == sorted(tables)
    kernels = [tuple(weight.shape) for weight in model.weights if weight.name == "kernel" and np.prod(weight.shape) > 100]
    found = [x.shape for x in constants(folder) if x.ndim == 2]
    assert len(kernels) >= 4 and sorted(found) == sorted(kernels)


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
    assert {"probability", "clicks_attention"} < set(outputs) and outputs["clicks_attention"].dtype == np.float32
    assert len(set(expected.round(3).flat)) == 6  # the first history holds one event twice
    np.testing.assert_allclose(outputs["clicks_attention"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs["probability"], score(exported, ROWS), atol=1e-6)


def test_explain_gives_the_most_recent_events_and_pads_after_them(exported):
    short = {**ROWS[2], "historical_item_ids": [7, 0], "historical_category_ids": ["a", "c"]}
    long = {**ROWS[2], "historical_item_ids": [3] * 50 + [7, 0, 3], "historical_category_ids": ["c"] * 50 + ["a", "c", "b"]}
    few, many, whole = explain(exported, [short, long, ROWS[2]])["clicks_attention"]
    assert (whole != 0).all()
    np.testing.assert_allclose(many, whole, rtol=1e-6)
    np.testing.assert_allclose(few, [*whole[:2], 0], rtol=1e-6)


class Traced:
    """The signatures of a model as they are before they are saved."""

    def __init__(self, model, transform_output):
        self._serving = ServingModel(model, transform_output)  # whose tables live as long as this
        self.signatures = self._serving.signatures()


def make(transform_output, **settings):
    config = DINConfig.model_validate({"features": FEATURES, "model": settings})
    return with_large_weights(make_model(config, vocabulary_sizes(FEATURES.vocabularies, transform_output)))


def check_scores(model, transform_output, served):
    """Three impressions with three candidates each: every scoring signature gives the model's own scores."""
    rows = as_impressions(ROWS, [CANDIDATES] * 3)
    transformed = transform_output.transform_raw_features(parse(rows, FEATURES))
    expected = tf.sigmoid(model({name: values for name, values in transformed.items() if name != LABEL}))
    np.testing.assert_allclose(rank(served, ROWS, [CANDIDATES] * 3).ravel(), expected, atol=1e-6)
    np.testing.assert_allclose(score(served, rows), expected, atol=1e-6)
    np.testing.assert_allclose(served.signatures["predict"](**raw_tensors(rows))["probability"], expected, atol=1e-6)


SIGNATURES = {"serving_default", "predict", "rank", "transform_features", "explain"}


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "din"])
def test_every_kind_of_model_is_served_as_it_is(kind, transform_output, tmp_path):
    model = make(transform_output, kind=kind)
    export(model, transform_output, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    assert set(loaded.signatures) == SIGNATURES
    check_scores(model, transform_output, loaded)


@pytest.mark.parametrize("kind", MODELS)
def test_every_kind_of_model_is_served_without_histories(kind, transform_output):
    model = make(transform_output, kind=kind, history=False)
    traced = Traced(model, transform_output)
    assert set(traced.signatures) == SIGNATURES
    check_scores(model, transform_output, traced)


@pytest.mark.parametrize("settings", [{"activation": "prelu"}, {"attention_softmax": True}, {"hidden": []}], ids=str)
def test_every_attention_ranks_as_the_model_scores(settings, transform_output):
    model = make(transform_output, **settings)
    check_scores(model, transform_output, Traced(model, transform_output))


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -float("inf"), 3e38])
def test_no_number_makes_a_score_overflow(exported, price):
    rows = [{**ROWS[0], "price": price}]
    missing = [{**ROWS[0], "price": None}]
    scores = score(exported, rows)
    assert 0 <= scores[0] <= 1
    tensors = raw_tensors(missing) | {"price": tf.constant([price], tf.float32)}
    np.testing.assert_allclose(exported.signatures["predict"](**tensors)["probability"], scores, atol=1e-6)
    if not np.isfinite(price):
        np.testing.assert_allclose(scores, score(exported, missing), atol=1e-6)


def test_an_integer_beyond_float32_gets_the_same_score_both_ways(exported):
    rows = [{**ROWS[0], "hour": 2**24 + 1}]
    np.testing.assert_allclose(exported.signatures["predict"](**raw_tensors(rows))["probability"], score(exported, rows), atol=1e-6)
