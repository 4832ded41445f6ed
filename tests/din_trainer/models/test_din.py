"""DIN as a whole: numbers of parameters, what a score depends on, saving."""

import json
from functools import cache
from zipfile import ZipFile

import keras
import numpy as np
import pytest

from din_trainer.config import DINConfig
from din_trainer.layers.mlp import MLP
from din_trainer.models.din import DIN
from din_trainer.models.make_model import make_model
from din_trainer.training.compile_model import compile_model
from tests.din_trainer import textbook
from tests.din_trainer.batches import SIZES, make_batch, make_dataset
from tests.transforming import with_large_weights

PAPER = {"interactions": "none"}


def take(batch, rows):
    return {name: values[rows] for name, values in batch.items()}


@cache
def make_trained(**model_settings):
    """A model after eight steps; tests share it, so they must not change it."""
    keras.utils.set_random_seed(0)
    model = make_model(DINConfig.model_validate({"model": model_settings}), SIZES)
    batch = make_batch(256, seed=1)
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True), run_eagerly=True)  # faster than making a graph
    model.fit(batch, np.random.default_rng(2).integers(0, 2, 256), batch_size=64, epochs=2, verbose=0)
    return model


@pytest.fixture
def model():
    return make_trained()


def test_parameters_are_those_of_the_paper_s_figure_2():
    model = make_model(DINConfig.model_validate({"model": PAPER}), SIZES)
    d = 32  # item and category embeddings side by side
    embeddings = (30 + 9 + 12) * 16
    attention = (4 * d * 80 + 80 + 80) + (80 * 40 + 40 + 40) + (40 + 1)  # kernel, bias and Dice's alpha
    width = d + d + 16  # candidate, interest, user
    mlp = (width * 128 + 128 + 128) + (128 * 64 + 64 + 64) + (64 * 32 + 32 + 32) + (32 + 1)
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == embeddings + attention + mlp


def test_the_paper_s_model_is_the_one_of_earlier_releases():
    """Against what commit a7ab8fb, which had no interactions, made of the same seed: at the start and after eight steps."""
    keras.utils.set_random_seed(0)
    model = make_model(DINConfig.model_validate({"model": PAPER}), SIZES)
    batch = make_batch(4, seed=5)
    start = [0.0040846820920705795, 0.009442191570997238, 0.0035052017774432898, -0.0037402291782200336]
    np.testing.assert_allclose(model(batch), start, atol=1e-7)
    compile_model(model)
    model.fit(make_dataset(256, seed=1), epochs=2, verbose=0)
    trained = [-0.032511524856090546, -0.025486348196864128, -0.007511632051318884, -0.018246343359351158]
    np.testing.assert_allclose(model(batch), trained, atol=1e-5)


def test_a_model_saved_by_an_earlier_release_has_no_interactions(tmp_path):
    """Its file does not name them, whatever the default is today; its weights are those of the paper's model."""
    saved, batch = make_trained(**PAPER), make_batch(20)
    saved.save(tmp_path / "now.keras")
    with ZipFile(tmp_path / "now.keras") as now, ZipFile(tmp_path / "then.keras", "w") as then:
        for name in now.namelist():
            config = now.read(name)
            if name == "config.json":
                written = json.loads(config)
                del written["config"]["config"]["model"]["interactions"]
                config = json.dumps(written).encode()
            then.writestr(name, config)
    loaded = keras.models.load_model(tmp_path / "then.keras")
    assert loaded.din_config.model.interactions == "none"
    np.testing.assert_array_equal(loaded(batch), saved(batch))


@pytest.mark.parametrize("settings", [{}, {"attention_softmax": True}, {"kind": "base"}, {"history": False}], ids=str)
def test_a_score_depends_on_its_own_example_alone(settings):
    model = make_trained(**settings)
    batch = make_batch(1000)
    scores = np.asarray(model(batch))
    assert scores.shape == (1000,)
    alone = np.concatenate([model(take(batch, slice(i, i + 1))) for i in range(20)])
    np.testing.assert_allclose(alone, scores[:20], atol=1e-6)
    order = np.random.default_rng(3).permutation(1000)
    np.testing.assert_allclose(model(take(batch, order)), scores[order], atol=1e-6)
    padded = {name: np.pad(values, ((0, 0), (0, 25))) if values.ndim == 2 else values for name, values in batch.items()}
    np.testing.assert_allclose(model(padded), scores, atol=1e-6)


def test_the_history_matters_with_attention_and_not_without(model):
    batch = make_batch(50)
    emptied = {name: values * 0 if name.startswith("historical") else values for name, values in batch.items()}
    changed = np.asarray(model(batch)) != np.asarray(model(emptied))
    had_events = batch["historical_item_ids"].any(axis=1)
    np.testing.assert_array_equal(changed, had_events)
    without = make_trained(history=False)
    np.testing.assert_array_equal(without(batch), without(emptied))


def test_candidate_and_history_share_one_table():
    """Moving the row of item 7 moves the scores of a candidate 7 and of a history with 7 in it, and no other."""
    model = make_model(DINConfig(), SIZES)
    batch = take(make_batch(1, length=2), [0, 0, 0])
    batch["candidate_item_id"] = np.array([7, 5, 5])
    batch["historical_item_ids"] = np.array([[4, 0], [7, 0], [4, 0]])
    batch["historical_category_ids"] = np.array([[2, 0], [2, 0], [2, 0]])
    before = np.asarray(model(batch))
    rows = np.array(model.tables["item"].embeddings, copy=True)
    rows[7] += 1.0
    model.tables["item"].embeddings.assign(rows)
    np.testing.assert_array_equal(np.asarray(model(batch)) != before, [True, True, False])


def test_reloads_to_the_same_scores(model, tmp_path):
    batch = make_batch(100)
    model.save(tmp_path / "din.keras")
    reloaded = keras.models.load_model(tmp_path / "din.keras")
    assert reloaded.din_config == model.din_config
    np.testing.assert_array_equal(reloaded(batch), model(batch))
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in reloaded._flatten_layers())


def test_each_sequence_has_an_attention_unit_and_padding_of_its_own(monkeypatch):
    """Categories form a sequence of their own here: an event of one sequence does not change the interest of the other."""
    item = {"candidate": "candidate_item_id", "history": "historical_item_ids"}
    category = {"candidate": "candidate_category_id", "history": "historical_category_ids", "sequence": "categories"}
    features = {"behaviours": {"item": item, "category": category}}
    model = make_model(DINConfig.model_validate({"features": features, "model": PAPER}), SIZES)
    batch = make_batch(20)
    batch["historical_category_ids"] = np.roll(batch["historical_category_ids"], 1, axis=0)  # other lengths than those of the items

    read = []
    monkeypatch.setattr(MLP, "call", lambda self, x, training=False: read.append(np.asarray(x)) or x[:, 0])

    def interests(batch):
        model(batch)
        return np.split(read.pop(), [32, 48, 64], axis=1)[1:3]  # candidate fields, interest in items, in categories, user

    items, categories = interests(batch)
    items_alone, no_categories = interests({**batch, "historical_category_ids": batch["historical_category_ids"] * 0})
    assert items.any() and categories.any()
    np.testing.assert_array_equal(items_alone, items)
    np.testing.assert_array_equal(no_categories, np.zeros((20, 16)))
    assert [unit.kernel.shape[0] for unit in model.attention.values()] == [4 * 16, 4 * 16]


def test_attention_weights_are_those_of_each_sequence_with_its_time_gaps():
    """Against NumPy, event by event: two sequences of different lengths, time gaps in the first one, weights normalised by softmax."""
    item = {"candidate": "candidate_item_id", "history": "historical_item_ids"}
    category = {"candidate": "candidate_category_id", "history": "historical_category_ids", "sequence": "categories"}
    features = {"behaviours": {"item": item, "category": category}, "time_gap": True}
    settings = {"features": features, "model": {"attention_softmax": True}}
    model = with_large_weights(make_model(DINConfig.model_validate(settings), SIZES))
    batch = make_batch(5, length=3)
    batch["historical_category_ids"] = np.roll(batch["historical_category_ids"], 1, axis=0)
    gaps = batch["historical_time_gaps"] = np.random.default_rng(4).normal(size=(5, 3)).astype(np.float32)
    weights = model.attention_weights(model.without_padding(batch))
    assert set(weights) == {"clicks", "categories"}
    for sequence, name, feature in (("clicks", "item", item), ("categories", "category", category)):
        table, history = np.array(model.tables[name].embeddings), batch[feature["history"]]
        assert history.any() and not history.all(1).all()
        expected = np.zeros((5, 3))
        for b, t in zip(*np.nonzero(history), strict=True):
            query, key = table[batch[feature["candidate"]][b]], table[history[b, t]]
            event_numbers = gaps[b, t : t + 1] if sequence == "clicks" else ()
            expected[b, t] = np.exp(textbook.attention_weight(model.attention[sequence], query, key, event_numbers))
        expected /= np.maximum(expected.sum(1, keepdims=True), 1e-9)
        of_events, places = weights[sequence]
        np.testing.assert_array_equal(places, [(b, t) for b, row in enumerate(history) for t in range(np.count_nonzero(row))])
        np.testing.assert_allclose(of_events, expected[history != 0], rtol=1e-4, atol=1e-6)


def test_a_shared_vocabulary_is_one_table():
    cart = {"candidate": "candidate_item_id", "history": "cart_item_ids", "vocabulary": "item", "sequence": "cart"}
    item = {"candidate": "candidate_item_id", "history": "historical_item_ids"}
    model = make_model(DINConfig.model_validate({"features": {"behaviours": {"item": item, "cart": cart}}}), SIZES)
    batch = make_batch(4)
    batch["cart_item_ids"] = np.array([[7, 0, 0], [5, 0, 0], [0, 0, 0], [4, 5, 6]])
    before = np.asarray(model(batch))
    rows = model.tables["item"].embeddings.numpy()
    rows[7] += 1.0
    model.tables["item"].embeddings.assign(rows)
    touched = [7 in (batch["candidate_item_id"][i], *batch["historical_item_ids"][i], *batch["cart_item_ids"][i]) for i in range(4)]
    np.testing.assert_array_equal(np.asarray(model(batch)) != before, touched)
    assert touched[0] and not all(touched)


def test_the_time_gap_moves_the_weight_of_its_event_alone():
    model = make_model(DINConfig.model_validate({"features": {"time_gap": True}}), SIZES)
    batch = make_batch(30)
    batch["historical_time_gaps"] = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    changed = batch["historical_time_gaps"].copy()
    changed[:, 0] += 1
    moved = np.asarray(model(batch)) != np.asarray(model({**batch, "historical_time_gaps": changed}))
    np.testing.assert_array_equal(moved, batch["historical_item_ids"][:, 0] > 0)


def test_down_sampled_negatives_shift_the_logit_only_in_training():
    """With a share w of the negatives the odds are 1/w times as high, so the logits are log(1/w) higher (He et al., 2014)."""
    settings = {"model": {"dropout": 0.0, "activation": "relu"}, "training": {"negative_rate": 0.25}}
    model = make_model(DINConfig.model_validate(settings), SIZES)
    batch = make_batch(10)
    np.testing.assert_allclose(model(batch, training=True) - model(batch), np.log(4), rtol=1e-4)


def test_a_vocabulary_without_a_size_is_refused():
    with pytest.raises(ValueError, match="lacks user_id"):
        DIN(DINConfig(), {"item": 3, "category": 3})
