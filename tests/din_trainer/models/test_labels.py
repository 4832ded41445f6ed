"""A model with several labels, as a user of Keras uses it: loss by hand, probabilities, what is refused, and whether labels are learnt."""

import keras
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.export.fold_dice import fold
from din_trainer.layers.esmm import product_logits
from din_trainer.models.make_model import MODELS, make_model
from din_trainer.training.compile_model import compile_model
from tests.din_trainer.batches import SIZES, make_batch, make_labels
from tests.transforming import with_large_weights

ROWS = 80
CLICKS = make_labels(ROWS, 1)
LABELS = np.stack([CLICKS, CLICKS * make_labels(ROWS, 2)], axis=1)
WEIGHTS = np.random.default_rng(3).random(ROWS)
BOTH_FORMS = [{"towers": "shared", "esmm": True}, {"towers": "mmoe"}]
EACH_KIND = [*({"kind": kind, "esmm": True} for kind in MODELS), {"towers": "mmoe"}, {"kind": "wide_deep"}]


def make(model=None, labels=("click", "purchase"), **training):
    keras.utils.set_random_seed(0)
    settings = {"hidden": [8], "attention_hidden": [8], "tower_hidden": [4], "expert_hidden": [6], "dropout": 0.0, **(model or {})}
    return make_model(DINConfig.model_validate({"features": {"labels": labels}, "model": settings, "training": training}), SIZES)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def log_losses(logits, labels=LABELS):
    p = sigmoid(logits)
    return -np.where(labels == 1, np.log(p), np.log(1 - p))


@pytest.mark.parametrize("model", EACH_KIND, ids=str)
def test_all_models_give_a_logit_for_each_label_and_learn(model):
    made = with_large_weights(make(model))
    logits = np.asarray(made(make_batch(ROWS)))
    assert logits.shape == (ROWS, 2) and np.abs(logits[:, 0] - logits[:, 1]).min() > 0
    compile_model(made)
    figures = made.train_on_batch(make_batch(ROWS), LABELS, return_dict=True)
    assert set(figures) == {"loss", "auc", "auc_purchase"} and np.isfinite(list(figures.values())).all()
    assert np.abs(np.asarray(made(make_batch(ROWS))) - logits).max(axis=0).min() > 0  # both labels have moved


def test_the_loss_is_the_weighted_sum_of_the_labels_losses():
    model = make(label_weights={"purchase": 0.25})
    compile_model(model)
    losses = log_losses(model(make_batch(ROWS))) @ [1, 0.25]
    results = model.evaluate(make_batch(ROWS), LABELS, batch_size=ROWS, verbose=0, return_dict=True)
    assert results["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    weighted = model.evaluate(make_batch(ROWS), LABELS, sample_weight=WEIGHTS, batch_size=ROWS, verbose=0, return_dict=True)
    assert weighted["loss"] == pytest.approx((losses * WEIGHTS).mean(), rel=1e-5)


def test_metrics_are_the_first_labels_and_each_further_one_has_an_auc():
    model = with_large_weights(make({"interactions": "none"}))  # products of large weights would leave one bin of the AUC for most logits
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    p = model.predict(make_batch(ROWS), verbose=0)
    np.testing.assert_allclose(p, sigmoid(model(make_batch(ROWS))), rtol=1e-5)
    results = model.evaluate(make_batch(ROWS), LABELS, verbose=0, return_dict=True)
    assert results["accuracy"] == pytest.approx(((p[:, 0] > 0.5) == LABELS[:, 0]).mean())
    assert results["auc_purchase"] == pytest.approx(sklearn.metrics.roc_auc_score(LABELS[:, 1], p[:, 1]), abs=0.01)


def test_rows_that_stand_for_others_weigh_more_for_further_labels_in_training_alone():
    """A quarter of the rows without a click is kept: the click's logit is shifted by log 4, the purchase's loss weighs them fourfold."""
    model = make({"activation": "relu"}, negative_rate=0.25, label_weights={"purchase": 0.5})
    logits = np.asarray(model(make_batch(ROWS)))
    compile_model(model)
    stands_for = np.where(CLICKS == 1, 1, 4)
    shifted = log_losses(np.column_stack([logits[:, 0] + np.log(4), logits[:, 1]]))
    expected = (shifted[:, 0] + 0.5 * stands_for * shifted[:, 1]) * WEIGHTS
    assert model.train_on_batch(make_batch(ROWS), LABELS, WEIGHTS)[0] == pytest.approx(expected.mean(), rel=1e-5)
    model = make({"activation": "relu"}, negative_rate=0.25)
    compile_model(model)
    assert model.test_on_batch(make_batch(ROWS), LABELS)[0] == pytest.approx(log_losses(logits).sum(axis=1).mean(), rel=1e-5)


def test_probabilities_stay_calibrated_on_sampled_negatives():
    """The share of each label is that of all data, though training sees a tenth of the rows without a click, which can have a like."""
    rng = np.random.default_rng(0)
    rows = 20_000
    batch = make_batch(rows)
    labels = np.stack([rng.random(rows) < 0.1, rng.random(rows) < 0.3], axis=1)
    kept = labels[:, 0] | (rng.random(rows) < 0.1)
    model = make({"kind": "lr"}, ("click", "like"), negative_rate=0.1, learning_rate=0.05)
    compile_model(model)
    with pytest.warns(UserWarning, match="fit does not sample"):
        model.fit({name: x[kept] for name, x in batch.items()}, labels[kept], batch_size=500, epochs=6, verbose=0)
    np.testing.assert_allclose(model.predict(batch, verbose=0).mean(axis=0), labels.mean(axis=0), rtol=0.15)


@pytest.mark.parametrize("b", [-4.0, 0.0, 4.0])
def test_under_esmm_the_purchase_moves_both_towers(b):
    """dL/da of p = σ(a) σ(b): (p − y) / (1 − p) · (1 − σ(a)), and the same with b."""
    a, y = 1.5, 1.0
    towers = tf.constant([[a, b]])
    with tf.GradientTape() as tape:
        tape.watch(towers)
        loss = keras.losses.binary_crossentropy([[y]], product_logits(towers)[:, 1:], from_logits=True)
    p = sigmoid(a) * sigmoid(b)
    expected = [(p - y) / (1 - p) * (1 - sigmoid(a)), (p - y) / (1 - p) * (1 - sigmoid(b))]
    np.testing.assert_allclose(tape.gradient(loss, towers)[0], expected, rtol=1e-4)


def test_under_esmm_a_purchase_is_never_likelier_than_the_click():
    p = with_large_weights(make({"esmm": True}, ("click", "cart", "purchase"))).predict(make_batch(ROWS), verbose=0)
    assert p.shape == (ROWS, 3) and (p[:, 1:] < p[:, :1]).all()


@pytest.mark.parametrize("model", [{"towers": "shared"}, {"towers": "mmoe", "esmm": True, "kind": "wide_deep"}], ids=str)
def test_saving_and_export_keep_the_scores(model, tmp_path):
    made = make(model)
    made.compile("adam", "binary_crossentropy")
    made.fit(make_batch(ROWS), LABELS, verbose=0)
    expected = made.predict(make_batch(ROWS), verbose=0)
    made.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(make_batch(ROWS), verbose=0), expected)
    again.fit(make_batch(ROWS), LABELS, verbose=0)  # with its loss
    made.export(tmp_path / "exported")
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve({n: tf.constant(x) for n, x in make_batch(ROWS).items()}), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "count"),
    [({"towers": "shared"}, 1 + 2 + 1), ({"towers": "mmoe", "experts": 3, "expert_hidden": [6, 5]}, 3 + 2 + 1), ({"hidden": []}, 2 + 1)],
    ids=str,
)
def test_dice_is_folded_in_towers_and_experts_and_the_scores_stay(model, count):
    """Of an expert all but the last: a gate reads that one. One more Dice is the attention unit's."""
    made = with_large_weights(make(model))
    expected = np.asarray(made(make_batch(ROWS)))
    folded = fold(made.dense_chains())
    assert len({id(layer) for layer, _ in folded.dice}) == count
    weights = [(weight, tf.constant(folded.weights[id(weight)])) for weight in made.weights if id(weight) in folded.weights]
    with keras.StatelessScope(state_mapping=weights), folded.activations():
        found = np.asarray(made(make_batch(ROWS)))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("model", EACH_KIND, ids=str)
def test_a_rank_of_candidates_is_each_of_them_alone(model):
    made = with_large_weights(make(model))
    batch, rng = make_batch(4), np.random.default_rng(0)
    candidates = {"candidate_item_id": rng.integers(1, 30, (4, 5)), "candidate_category_id": rng.integers(1, 9, (4, 5))}
    ranked = made.logits(made.without_padding({**batch, **candidates}))
    alone = [made(batch | {name: ids[:, i] for name, ids in candidates.items()}) for i in range(5)]
    np.testing.assert_allclose(np.reshape(ranked, (4, 5, 2)), np.stack(alone, axis=1), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.tolist(),
        LABELS.astype(bool),
        {"purchase": LABELS[:, 1], "click": LABELS[:, 0]},
        pd.DataFrame(LABELS, columns=["click", "purchase"]),
        tf.constant(LABELS),
    ],
    ids=["lists", "bools", "dict", "frame", "tensor"],
)
def test_labels_are_taken_in_each_form(labels):
    model = make()
    compile_model(model)
    expected = model.evaluate(make_batch(ROWS), LABELS, verbose=0)
    assert model.evaluate(make_batch(ROWS), labels, verbose=0) == pytest.approx(expected)
    data = tf.data.Dataset.from_tensor_slices((make_batch(ROWS), LABELS if isinstance(labels, list) else labels)).batch(32)
    if not isinstance(labels, pd.DataFrame):
        assert model.evaluate(data, verbose=0) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (CLICKS, r"the labels have the shape \(80,\), but the model has 2 labels: give an array \(N, 2\) with the columns click, purchase"),
        (LABELS[:, [0, 1, 1]], r"the labels have the shape \(80, 3\)"),
        (LABELS[:40], r"the label click has 40 rows, but the features have 80"),
        (LABELS * 2, r"the label click is 2 in row \d+, but each label is 0 or 1"),
        (np.where(LABELS[:, :1] == 1, [1.0, np.nan], 0.0), r"the label purchase has no value in row \d+"),
        ({"click": CLICKS, "buy": CLICKS}, "the labels are click, buy, but the model has click, purchase"),
        ([[1, 0], [1]], "the labels are lists of different lengths"),
    ],
    ids=str,
)
def test_wrong_labels_are_refused_in_one_sentence(labels, message):
    model = make()
    compile_model(model)
    with pytest.raises(ValueError, match=message):
        model.fit(make_batch(ROWS), labels, verbose=0)


def test_a_loss_that_cannot_weigh_labels_is_refused():
    with pytest.raises(ValueError, match="the loss binary_focal_crossentropy cannot weigh labels: use 'binary_crossentropy'"):
        make().compile("adam", keras.losses.BinaryFocalCrossentropy())
    model = make()
    model.compile("adam", lambda labels, logits: keras.ops.mean(keras.ops.square(labels - logits), axis=-1))
    model.fit(make_batch(ROWS), LABELS, verbose=0)


@pytest.mark.parametrize("model", BOTH_FORMS, ids=str)
def test_both_labels_are_learnt(model):
    """The click follows from the user, the purchase after it from the item. AUC by scikit-learn, on rows that training has not seen."""

    def toy(rows, seed):
        rng = np.random.default_rng(seed)
        batch = make_batch(rows, seed=seed)
        click = rng.random(rows) < np.where(batch["user_id"] % 2, 0.8, 0.2)
        purchase = click & (rng.random(rows) < np.where(batch["candidate_item_id"] % 2, 0.9, 0.1))
        return batch, np.stack([click, purchase], axis=1)

    made = make({"kind": "base", **model}, learning_rate=0.01)
    compile_model(made)
    made.fit(*toy(4000, 1), batch_size=200, epochs=4, verbose=0)
    batch, labels = toy(4000, 2)
    p = made.predict(batch, verbose=0)
    oracle = np.where(batch["user_id"] % 2, 0.8, 0.2), np.where(batch["candidate_item_id"] % 2, 0.9, 0.1)
    for scores, best, label in zip(p.T, (oracle[0], oracle[0] * oracle[1]), labels.T, strict=True):
        assert sklearn.metrics.roc_auc_score(label, scores) > sklearn.metrics.roc_auc_score(label, best) - 0.02
    np.testing.assert_allclose(p.mean(axis=0), labels.mean(axis=0), atol=0.04)


def test_the_factorization_machine_weighs_its_products_for_each_label():
    """The sum over pairs of fields ⟨w_k ⊙ v_i, v_j⟩, with the layers' own weights; w is 1 at the start."""
    model, batch = make({"kind": "deepfm"}), make_batch(ROWS)
    np.testing.assert_array_equal(model.products.kernel, 1)
    d = model.products.kernel.shape[0]
    vectors = np.random.default_rng(0).normal(size=(ROWS, 4, d))
    fields = {f"{i}": vectors[:, i].astype(np.float32) for i in range(4)}
    model.products.kernel.assign(np.random.default_rng(1).normal(size=(d, 2)))
    model.embedded_inputs = lambda: dict.fromkeys(fields, d)
    model.projection = lambda stacked: np.stack(stacked, axis=1)
    found = model.shallow(model.without_padding(batch), fields, None, False) - model.linear(model.without_padding(batch))
    pairs = sum(vectors[:, i] * vectors[:, j] for i in range(4) for j in range(i))
    np.testing.assert_allclose(found, pairs @ model.products.kernel.numpy(), rtol=1e-3, atol=1e-4)
