"""A model as a user of Keras or DeepCTR uses it: `compile`, `fit`, `evaluate`, `predict`, `save`, `export`. Case 23 of the issue.

The expected figures are scikit-learn's and NumPy's, from the logits of the model.
"""

import keras
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.models.make_model import make_model
from din_trainer.training.compile_model import compile_model
from tests.din_trainer.batches import SIZES, make_batch, make_labels

ROWS = 60
CONFIG = {
    "features": {"context": {"age": {"kind": "numeric", "dtype": "float"}, "hour": {}}},
    "model": {"hidden": [8], "attention_hidden": [8], "embedding_scale": 1.0},
}
LABELS = make_labels(ROWS, 1)


def make(kind="din", **training):
    keras.utils.set_random_seed(0)
    settings = {**CONFIG, "model": {**CONFIG["model"], "kind": kind}, "training": training}
    return make_model(DINConfig.model_validate(settings), {**SIZES, "hour": 25})


def data():
    rng = np.random.default_rng(5)
    return {**make_batch(ROWS), "age": rng.normal(size=ROWS).astype(np.float32), "hour": rng.integers(1, 24, ROWS)}


def changed(name, place, value):
    """The data with another value at one place."""
    columns = data()
    column = columns[name].astype(type(value) if isinstance(value, float) else columns[name].dtype)
    column[place] = value
    return {**columns, name: column}


def lists(column):
    return [[int(event) for event in row if event] for row in column]


def as_dataset(columns, *judged):
    return tf.data.Dataset.from_tensor_slices((columns, *judged) if judged else columns).batch(16)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


@pytest.fixture(scope="module")
def model():
    model = make()
    model.compile("adam", "binary_crossentropy", metrics=["auc"])  # as DeepCTR's examples do
    model.fit(data(), LABELS, batch_size=16, epochs=2, verbose=0)
    return model


def test_a_call_gives_logits_and_predict_probabilities(model):
    logits = np.asarray(model(data()))
    assert logits.min() < 0 < logits.max()
    np.testing.assert_allclose(model.predict(data(), verbose=0), sigmoid(logits), atol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(data()), sigmoid(logits), atol=1e-6)


def frame():
    flat = {name: column for name, column in data().items() if column.ndim == 1}
    return pd.DataFrame({**flat, **{name: lists(column) for name, column in data().items() if column.ndim == 2}})


FORMS = {
    "a DataFrame": frame,
    "a DataFrame with an index": lambda: frame().set_index(np.arange(ROWS)[::-1]),
    "Series": lambda: dict(frame().items()),
    "(N, 1)": lambda: {name: column[:, None] if column.ndim == 1 else column for name, column in data().items()},
    "lists": lambda: {name: column.tolist() for name, column in data().items()},
    "lists of different lengths": lambda: {name: lists(column) if column.ndim == 2 else column for name, column in data().items()},
    "int32": lambda: {name: column.astype(np.int32) if column.dtype == np.int64 else column for name, column in data().items()},
    "float64": lambda: {name: column.astype(np.float64) for name, column in data().items()},
    "nullable": lambda: {name: pd.array(column) if column.ndim == 1 else column for name, column in data().items()},
    "tensors": lambda: {name: tf.constant(column) for name, column in data().items()},
    "ragged tensors": lambda: {
        name: tf.ragged.constant(lists(column), dtype=tf.int32) if column.ndim == 2 else column for name, column in data().items()
    },
    "histories of two widths": lambda: {**data(), "historical_item_ids": np.pad(data()["historical_item_ids"], ((0, 0), (0, 3)))},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_data_gives_the_same_scores(form, model):
    expected = model.predict(data(), verbose=0)
    np.testing.assert_allclose(model.predict(FORMS[form](), verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(sigmoid(model(FORMS[form]())), expected, atol=1e-6)


@pytest.mark.parametrize("form", ["(N, 1)", "int32", "ragged tensors"])
def test_a_data_set_may_have_these_forms_too(form, model):
    batches = as_dataset(FORMS[form](), LABELS[:, None])
    np.testing.assert_allclose(model.predict(batches, verbose=0), model.predict(data(), verbose=0), atol=1e-6)
    np.testing.assert_allclose(model.evaluate(batches, verbose=0), model.evaluate(data(), LABELS, batch_size=16, verbose=0), atol=1e-5)


def test_fit_learns_the_same_from_every_form():
    weights = []
    for x, y in [
        (data(), LABELS),
        (frame(), pd.Series(LABELS == 1)),
        (data(), LABELS[:, None].tolist()),
        (as_dataset(data(), LABELS), None),
    ]:
        model = make("lr")
        compile_model(model)
        model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
        weights.append(np.concatenate([np.ravel(weight) for weight in model.get_weights()]))
    for others in weights[1:]:
        np.testing.assert_allclose(others, weights[0], atol=1e-6)


WRONG = {
    "candidate_item_id is 77 in row 3, but its ids are 1 to 29: the vocabulary 'item' of this model has 30 rows": changed(
        "candidate_item_id", 3, 77
    ),
    "historical_item_ids is 30 in row 4, but its ids are 0 to 29: the vocabulary": changed("historical_item_ids", (4, 0), 30),
    "historical_item_ids is -1 in row 4, but its ids are 0 to 29: 0 pads histories": changed("historical_item_ids", (4, 0), -1),
    "user_id is -1 in row 0, but its ids are 0 to 11": changed("user_id", 0, -1),
    "candidate_item_id is 0 in row 3, but its ids are 1 to 29: 0 pads histories": changed("candidate_item_id", 3, 0),
    "user_id has no value in row 2: leave such rows out": changed("user_id", 2, np.nan),
    "hour: 1.5 in row 2 is not a whole number": changed("hour", 2, 1.5),
    "age: inf in row 2 is not a finite number": changed("age", 2, np.inf),
    "user_id: 'u1' in row 0 is not a number: for text": {**data(), "user_id": ["u1"] * ROWS},
    "age has 5 rows, but candidate_item_id has 60": {**data(), "age": data()["age"][:5]},
    "age has 0 rows": {**data(), "age": 3.0},
    "the data has no historical_item_ids \\(is it historical_items\\?\\); it has ": {
        {"historical_item_ids": "historical_items"}.get(name, name): column for name, column in data().items()
    },
    "candidate_item_id has \\(60, 6\\) where one value for each row belongs": {
        **data(),
        "candidate_item_id": data()["historical_item_ids"],
    },
    "historical_item_ids has the shape \\(60,\\) where events": {**data(), "historical_item_ids": data()["user_id"]},
    "historical_category_ids and historical_item_ids have events at different places in row \\d": {
        **data(),
        "historical_item_ids": [row[:-1] for row in lists(data()["historical_item_ids"])],
    },
    "the data has no rows": {name: column[:0] for name, column in data().items()},
    "the features are a ndarray: give a dict of columns": np.zeros((ROWS, 3)),
    "the features are a generator: give a dict": (batch for batch in [data()]),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_wrong_features_end_in_a_sentence_that_names_them(sentence, model):
    for use in (model.predict, model, lambda x: model.fit(x, LABELS), lambda x: model.evaluate(x, LABELS), model.predict_on_batch):
        with pytest.raises(ValueError, match=f"^{sentence}"):
            use(WRONG[sentence])


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (LABELS * 2 - 1, r"the label is -1 in row \d+, but each label is 0 or 1: \(y \+ 1\) / 2 turns"),
        (LABELS * 0.9, r"the label is 0.9 in row \d+, but each label is 0 or 1$"),
        (LABELS + 1, r"the label is 2 in row \d+, but each label is 0 or 1$"),
        (np.where(np.arange(ROWS) == 3, np.nan, LABELS), "the label has no value in row 3"),
        (LABELS[:-1], "the label has 59 rows, but the features have 60"),
        (LABELS.astype(str), "the label: '[01]' in row 0 is not a number$"),
        (np.eye(2)[LABELS], r"the label has \(60, 2\) where one value"),
        (None, "there are no labels: give them as y"),
    ],
)
def test_wrong_labels_end_in_a_sentence(labels, sentence, model):
    for use in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match=f"^{sentence}"):
            use(data(), labels)
    if labels is not None:
        with pytest.raises(ValueError, match=f"^{sentence}"):
            model.fit(data(), LABELS, validation_data=(data(), labels), verbose=0)


def test_a_data_set_is_checked_batch_by_batch(model):
    beyond = as_dataset(changed("candidate_item_id", 35, 77), LABELS)
    for use in (model.fit, model.predict, model.evaluate, lambda x, **kw: model.fit(data(), LABELS, validation_data=x, **kw)):
        with pytest.raises(ValueError, match=r"^batch 2: candidate_item_id is 77 in row 3, but its ids are 1 to 29"):
            use(beyond, verbose=0)
    for dataset, sentence in [
        (as_dataset(data(), LABELS * 2 - 1), "batch 0: the label is -1"),
        (as_dataset(data()), "the data set has no labels"),
        (as_dataset(data(), LABELS).unbatch(), "the elements of the data set are single rows"),
        (as_dataset(data(), LABELS).take(0), "the data set has no batches"),
        (as_dataset({"user_id": data()["user_id"]}, LABELS), "batch 0: the data has no candidate_item_id"),
    ]:
        with pytest.raises(ValueError, match=f"^{sentence}"):
            model.fit(dataset, verbose=0)


def test_predict_does_not_read_labels(model):
    unknown = as_dataset(data(), np.full(ROWS, np.nan))
    np.testing.assert_allclose(model.predict(unknown, verbose=0), model.predict(data(), verbose=0), atol=1e-6)


def test_the_example_of_deepctr_runs():
    """examples/run_din.py of DeepCTR: users and genders count from 0, items and categories from 1, and a column of lengths is left over."""
    x = {
        "user": np.array([0, 1, 2]),
        "gender": np.array([0, 1, 0]),
        "item_id": np.array([1, 2, 3]),
        "cate_id": np.array([1, 2, 2]),
        "hist_item_id": np.array([[1, 2, 3, 0], [3, 2, 1, 0], [1, 2, 0, 0]]),
        "hist_cate_id": np.array([[1, 2, 2, 0], [2, 2, 1, 0], [1, 2, 0, 0]]),
        "pay_score": np.array([0.1, 0.2, 0.3]),
        "seq_length": np.array([3, 3, 2]),
    }
    features = {
        "behaviours": {
            "item": {"candidate": "item_id", "history": "hist_item_id", "dim": 8},
            "category": {"candidate": "cate_id", "history": "hist_cate_id", "dim": 4},
        },
        "user": {"user": {"dim": 10}, "gender": {"dim": 4}},
        "context": {"pay_score": {"kind": "numeric", "dtype": "float"}},
    }
    model = make_model(DINConfig.model_validate({"features": features}), {"item": 4, "category": 3, "user": 3, "gender": 2})
    model.compile("adam", "binary_crossentropy", metrics=["binary_crossentropy"])
    with pytest.warns(UserWarning, match="^the model does not read seq_length$"):
        history = model.fit(x, np.array([1, 0, 1]), epochs=2, validation_split=0.5, verbose=0).history
    assert np.isfinite(history["val_binary_crossentropy"]).all()
    assert ((model.predict(x, verbose=0) > 0) & (model.predict(x, verbose=0) < 1)).all()


def test_missing_values_count_as_the_model_s_words_for_them_and_are_said(model):
    with pytest.warns(UserWarning, match="^age has no value in 1 of 60 rows, which count as 0, the mean of scaled numbers$"):
        scores = model.predict(changed("age", 2, np.nan), verbose=0)
    np.testing.assert_array_equal(scores, model.predict(changed("age", 2, 0.0), verbose=0))
    with pytest.warns(UserWarning, match="^hour has no value in 1 of 60 rows, which count as id 24, out of vocabulary$"):
        scores = model.predict(changed("hour", 2, np.nan), verbose=0)
    np.testing.assert_array_equal(scores, model.predict(changed("hour", 2, 24), verbose=0))
    with pytest.warns(UserWarning, match="^the model does not read label, week$"):
        model.predict({**data(), "label": LABELS, "week": LABELS}, verbose=0)


def test_metrics_are_those_of_the_probabilities_and_weighted_row_by_row():
    model = make()
    curve = keras.metrics.AUC(from_logits=True, num_thresholds=20_000, name="fine")
    model.compile("adam", keras.losses.BinaryCrossentropy(), metrics=["binary_crossentropy", "accuracy"], weighted_metrics=[curve])
    weights = np.random.default_rng(2).random(ROWS).astype(np.float32)
    figures = model.evaluate(data(), LABELS, batch_size=16, sample_weight=weights, verbose=0, return_dict=True)
    scores = sigmoid(model(data()))
    each = -np.log(np.where(LABELS == 1, scores, 1 - scores))
    assert figures["loss"] == pytest.approx((each * weights).sum() / ROWS, rel=1e-4)
    assert figures["binary_crossentropy"] == pytest.approx(sklearn.metrics.log_loss(LABELS, scores), rel=1e-4)
    assert figures["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(LABELS, scores > 0.5))
    assert figures["fine"] == pytest.approx(sklearn.metrics.roc_auc_score(LABELS, scores, sample_weight=weights), abs=1e-3)


def test_training_weighs_each_row():
    """A row of weight 0 has no effect: Keras alone would multiply the mean loss of a batch by its mean weight."""
    weights = (np.arange(ROWS) % 2).astype(np.float32) * 2
    trained = []
    for labels in (LABELS, np.where(weights == 0, 1 - LABELS, LABELS)):
        model = make("lr")
        compile_model(model)
        model.fit(data(), labels, sample_weight=weights, batch_size=16, shuffle=False, verbose=0)
        trained.append(np.asarray(model(data())))
    np.testing.assert_array_equal(trained[0], trained[1])


@pytest.mark.parametrize("weights", [-np.ones(ROWS), np.full(ROWS, np.nan), np.ones(3)])
def test_wrong_weights_end_in_a_sentence(weights, model):
    with pytest.raises(ValueError, match=r"^sample_weight (is -1 in row 0|has no value in row 0|has 3 rows)"):
        model.fit(data(), LABELS, sample_weight=weights, verbose=0)


def test_losses_that_cannot_read_logits_are_refused():
    model = make()
    for loss in ("mse", keras.losses.MeanSquaredError(), "hinge"):
        with pytest.raises(ValueError, match="does not read logits: use 'binary_crossentropy'"):
            model.compile("adam", loss)
    model.compile("adam", keras.losses.BinaryFocalCrossentropy())
    assert model.loss.get_config()["from_logits"] is True


def test_save_load_and_export_give_the_same_scores(model, tmp_path):
    expected = model.predict(data(), verbose=0)
    model.save(tmp_path / "din.keras")
    reloaded = keras.models.load_model(tmp_path / "din.keras")
    np.testing.assert_allclose(reloaded.predict(data(), verbose=0), expected, atol=1e-6)
    assert reloaded.evaluate(data(), LABELS, verbose=0) == pytest.approx(model.evaluate(data(), LABELS, verbose=0))
    for number, exported in enumerate((model, reloaded)):
        exported.export(tmp_path / str(number))
        served = tf.saved_model.load(str(tmp_path / str(number)))
        tensors = {name: tf.constant(column) for name, column in data().items()}
        np.testing.assert_allclose(served.serve(tensors), expected, atol=1e-6)
        np.testing.assert_allclose(served.signatures["serving_default"](**tensors)["output_0"], expected, atol=1e-6)
    reloaded.fit(data(), LABELS, verbose=0)  # with the optimizer's state


def test_export_needs_a_trained_model(tmp_path):
    with pytest.raises(ValueError, match=r"^the model has not been trained: .* call fit, or load weights, before export$"):
        make().export(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_the_sizes_of_tables_are_whole_numbers_from_2(tmp_path):
    for wrong in (1, -5, 12.0, "12", None):
        with pytest.raises(ValueError, match=f"^vocabulary_sizes says that 'item' has {wrong!r} rows; a table has 2 or more"):
            make_model(DINConfig(), {**SIZES, "item": wrong})
    model = make_model(DINConfig(), {name: np.int64(size) for name, size in SIZES.items()})  # as from `ids.max() + 1`
    model.save(tmp_path / "din.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "din.keras")(make_batch(5)), model(make_batch(5)))


def test_settings_that_fit_cannot_follow_are_said():
    model = make("lr", negative_rate=0.5)
    compile_model(model)
    with pytest.warns(UserWarning, match="^training.negative_rate is 0.5, and fit does not sample"):
        model.fit(data(), LABELS, verbose=0)
    warm = make("lr", warm_start="served")
    compile_model(warm)
    with pytest.warns(UserWarning, match=r"^Only the pipeline follows training\.warm_start"):
        warm.fit(data(), LABELS, verbose=0)
    weighted = make_model(DINConfig.model_validate({**CONFIG, "features": {"weight": "price"}}), SIZES)
    compile_model(weighted)
    with pytest.raises(ValueError, match=r"^the configuration weights impressions by 'price': give it to fit as sample_weight"):
        weighted.fit(make_batch(ROWS), LABELS, verbose=0)


def test_regularisation_counts_the_ids_of_the_training_data():
    model = make("base", regularization=0.1)
    compile_model(model)
    model.fit(data(), LABELS, verbose=0)
    ids = np.concatenate([data()["candidate_item_id"], data()["historical_item_ids"].ravel()])
    expected = [0, *[(ids == row).sum() for row in range(1, 29)], 0]  # not padding, and not the out-of-vocabulary row
    np.testing.assert_array_equal(np.asarray(model.tables["item"].counts), expected)
    with pytest.raises(ValueError, match=r"^training.regularization needs to know how often each id occurs"):
        model.fit(as_dataset(data(), LABELS), verbose=0)
