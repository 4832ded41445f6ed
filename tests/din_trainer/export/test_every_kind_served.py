"""An export with every kind of feature in every role, and two labels: all signatures agree with the model, and `explain` with them."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.exports.transform_analysis import analyse
from din_trainer.config import DINConfig
from din_trainer.export.signatures import ServingModel, export
from din_trainer.models.make_model import make_model
from din_trainer.reading.parsed_examples import example_spec
from din_trainer.reading.raw_reader import Reader
from din_trainer.training.initial_tables import vocabulary_sizes
from tests.din_trainer.reading.every_kind import CANDIDATES, FEATURES, impression, raw_tensors
from tests.transforming import to_example, with_large_weights

LABELS = ["probability", "probability_purchase"]
RNG = np.random.default_rng(3)
ROWS = [impression(RNG, known=True, padded=True) for _ in range(6)]
USERS = ROWS[::3]  # three candidates each
PAIRS = [
    {n: x for n, x in ROWS[i - i % 3].items() if n not in CANDIDATES} | {n: x for n, x in row.items() if n in CANDIDATES}
    for i, row in enumerate(ROWS)
]


@pytest.fixture(scope="module")
def transform_output(tmp_path_factory):
    rng = np.random.default_rng(0)
    return analyse([impression(rng, known=True) for _ in range(50)], FEATURES, tmp_path_factory.mktemp("transform"))


@pytest.fixture(scope="module")
def reader(transform_output):
    return Reader(FEATURES, transform_output)


def make(transform_output, **settings):
    config = DINConfig.model_validate({"features": FEATURES, "model": settings})
    return with_large_weights(make_model(config, vocabulary_sizes(FEATURES.vocabularies, transform_output)))


def examples(rows):
    return tf.constant([to_example(row) for row in rows])


def parsed(rows):
    return tf.io.parse_example(examples(rows), example_spec(FEATURES))


def as_tensors(arrays):
    return {name: tf.constant(x.tolist(), tf.string, x.shape) if x.dtype == object else tf.constant(x) for name, x in arrays.items()}


def check_scores(serving, expected):
    """Two users with three candidates each, without graphs, whose making takes long. `expected`: all probabilities, (6, 2)."""
    of_users, of_pairs = raw_tensors(USERS), raw_tensors(PAIRS)
    ranked = {n: of_pairs[n].reshape(2, 3, *of_pairs[n].shape[1:]) if n in CANDIDATES else x for n, x in of_users.items()}
    found = {
        "serving_default": serving.serving_default(examples(PAIRS)),
        "predict": serving.predict(**as_tensors(of_pairs)),
        "rank": serving.rank(**as_tensors(ranked)),
    }
    for signature, outputs in found.items():
        assert list(outputs) == LABELS
        for number, label in enumerate(LABELS):
            assert outputs[label].shape == ((2, 3) if signature == "rank" else (6,))
            np.testing.assert_allclose(tf.reshape(outputs[label], [-1]), expected[:, number], atol=1e-5, err_msg=signature)


@pytest.mark.parametrize(
    "settings", [{}, {"history": False}, {"esmm": True, "towers": "mmoe"}, {"kind": "lr"}, {"kind": "deepfm"}], ids=str
)
def test_every_signature_gives_the_model_s_scores(transform_output, reader, settings):
    model = make(transform_output, **settings)
    expected = tf.sigmoid(model(reader.transformed(parsed(PAIRS)))).numpy()
    assert np.std(expected, axis=0).min() > 1e-3
    check_scores(ServingModel(model, transform_output), expected)


def without(row, name):
    """An impression that lacks a feature, with its weights; in training and in requests that is one meaning."""
    if name in ("user_id", "candidate_category_id"):
        return {**row, name: ""}
    if name == "candidate_item_id":
        return {**row, name: -1}
    beside = {"interests": ["interest_weights"], "genres": ["genre_weights"], "notes": ["note_counts", "note_weights"]}
    return {n: x for n, x in row.items() if n not in (name, *beside.get(name, []), *(["option_counts"] if name == "options" else []))}


def test_explain_says_what_each_feature_adds(transform_output, reader, tmp_path):
    """The first label's logit minus that of the impression without the feature; of a cross, with the id that all its parts missing give."""
    model = make(transform_output)
    export(model, transform_output, str(tmp_path))
    explain = tf.saved_model.load(str(tmp_path)).signatures["explain"]
    found = {name: x.numpy() for name, x in explain(examples=examples(PAIRS)).items()}

    def logit(inputs):
        return model.logits(inputs).numpy()[:, 0]

    whole = logit(reader.of_parsed(parsed(PAIRS))[0])
    raw = [c.name for c in FEATURES.columns if c.name not in ("timestamp", "interest_weights", "genre_weights", "note_weights")]
    raw = [name for name in raw if not name.endswith("_counts")]
    for name in raw:
        lacking = logit(reader.of_parsed(parsed([without(row, name) for row in PAIRS]))[0])
        np.testing.assert_allclose(found.pop(f"contribution_{name}"), whole - lacking, atol=1e-4, err_msg=name)
    for name, parts in (("age_city", ["age", "city"]), ("brand_for_device", ["brand", "device", "discount"])):
        bare = reader.transformed(parsed([{n: x for n, x in row.items() if n not in parts} for row in PAIRS]))
        inputs = reader.of_parsed(parsed(PAIRS))[0]
        inputs.ids[name] = bare[name]
        added = found.pop(f"contribution_{name}")
        np.testing.assert_allclose(added, whole - logit(inputs), atol=1e-4, err_msg=name)
        assert np.abs(added).max() > 1e-3
    assert set(found) == {*LABELS, "clicks_attention", "cart_attention"}
    np.testing.assert_allclose(found["probability"], tf.sigmoid(whole), atol=1e-5)


@pytest.mark.parametrize("settings", [{"kind": "lr"}, {"history": False}], ids=str)
def test_every_model_explains_what_it_reads(transform_output, settings):
    model = make(transform_output, **settings)
    outputs = ServingModel(model, transform_output).explain(examples(PAIRS))
    assert ("contribution_historical_item_ids" in outputs) == ("contribution_notes" in outputs) == ("history" not in settings)
    assert not any(name.endswith("_attention") for name in outputs)
    assert float(tf.reduce_max(tf.abs(outputs["contribution_image"]))) > 1e-3
