"""An export with every kind of feature in every role, and two labels: all signatures agree with the model, and `explain` with them."""

import numpy as np
import pytest
import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.export.signatures import ServingModel
from din_trainer.models.make_model import make_model
from din_trainer.training.initial_tables import vocabulary_sizes
from tests.din_trainer.reading.every_kind import CANDIDATES, FEATURES, impression, parsed, raw_tensors
from tests.transforming import as_tensors, to_example, with_large_weights

LABELS = ["probability", "probability_purchase"]
RNG = np.random.default_rng(3)
ROWS = [impression(RNG, known=True, padded=True) for _ in range(6)]
USERS = ROWS[::3]  # three candidates each
PAIRS = [
    {n: x for n, x in ROWS[i - i % 3].items() if n not in CANDIDATES} | {n: x for n, x in row.items() if n in CANDIDATES}
    for i, row in enumerate(ROWS)
]


def make(transform_output, **settings):
    config = DINConfig.model_validate({"features": FEATURES, "model": settings})
    return with_large_weights(make_model(config, vocabulary_sizes(FEATURES.vocabularies, transform_output)))


def examples(rows):
    return tf.constant([to_example(row) for row in rows])


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
    "settings",
    [
        *({"interactions": kind} for kind in ("none", "sum", "inner", "elementwise", "mean_inner")),
        {"history": False},
        {"esmm": True, "towers": "mmoe"},
        {"kind": "lr"},
        {"kind": "deepfm"},
    ],
    ids=str,
)
def test_every_signature_gives_the_model_s_scores(every_kind_output, every_kind_reader, settings):
    model = make(every_kind_output, **settings)
    expected = tf.sigmoid(model(every_kind_reader.transformed(parsed(PAIRS)))).numpy()
    assert np.std(expected, axis=0).min() > 1e-4  # products of large weights saturate the probabilities
    check_scores(ServingModel(model, every_kind_output), expected)


def without(row, name):
    """An impression that lacks a feature, with its weights; in training and in requests that is one meaning."""
    if name in ("user_id", "candidate_category_id"):
        return {**row, name: ""}
    if name == "candidate_item_id":
        return {**row, name: -1}
    beside = {"interests": ["interest_weights"], "genres": ["genre_weights"], "notes": ["note_counts", "note_weights"]}
    return {n: x for n, x in row.items() if n not in (name, *beside.get(name, []), *(["option_counts"] if name == "options" else []))}


def test_explain_says_what_each_feature_adds(every_kind_output, every_kind_reader):
    """The first label's logit minus that of the impression without the feature; of a cross, with the id that all its parts missing give."""
    model = make(every_kind_output)
    found = {name: x.numpy() for name, x in ServingModel(model, every_kind_output).explain(examples(PAIRS)).items()}
    raw = [c.name for c in FEATURES.columns if c.name not in ("timestamp", "interest_weights", "genre_weights", "note_weights")]
    raw = [name for name in raw if not name.endswith("_counts")]
    crosses = {"age_city": ["age", "city"], "brand_for_device": ["brand", "device", "discount"]}
    lacking = [[without(row, name) for row in PAIRS] for name in raw]
    bare = [[{n: x for n, x in row.items() if n not in parts} for row in PAIRS] for parts in crosses.values()]
    rows = [row for part in (PAIRS, *lacking, *[PAIRS] * len(crosses), *bare) for row in part]  # one batch, and `bare` for its ids alone
    inputs = every_kind_reader.of_parsed(parsed(rows))[0]
    for number, name in enumerate(crosses):
        ids = np.split(inputs.ids[name], len(rows) // len(PAIRS))
        ids[1 + len(raw) + number] = ids[number - len(crosses)]
        inputs.ids[name] = np.concatenate(ids)
    whole, *others = np.split(model.logits(inputs).numpy()[:, 0], len(rows) // len(PAIRS))
    for name, other in zip([*raw, *crosses], others[: len(raw) + len(crosses)], strict=True):
        np.testing.assert_allclose(found.pop(f"contribution_{name}"), whole - other, atol=1e-4, err_msg=name)
        assert name not in crosses or np.abs(whole - other).max() > 1e-3
    assert set(found) == {*LABELS, "clicks_attention", "cart_attention"}
    np.testing.assert_allclose(found["probability"], tf.sigmoid(whole), atol=1e-5)


@pytest.mark.parametrize("settings", [{"kind": "lr"}, {"history": False}], ids=str)
def test_every_model_explains_what_it_reads(every_kind_output, settings):
    model = make(every_kind_output, **settings)
    outputs = ServingModel(model, every_kind_output).explain(examples(PAIRS))
    assert ("contribution_historical_item_ids" in outputs) == ("contribution_notes" in outputs) == ("history" not in settings)
    assert not any(name.endswith("_attention") for name in outputs)
    assert float(tf.reduce_max(tf.abs(outputs["contribution_image"]))) > 1e-3
