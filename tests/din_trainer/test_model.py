"""The network as a whole: shapes by hand, independence of batch mates, saving."""

import keras
import numpy as np
import pytest

from din_trainer.config import DINConfig
from din_trainer.model import DIN, mean_pooling

SIZES = {"item": 30, "category": 9, "user_id": 12}


def make_batch(rows, length=6, seed=0):
    rng = np.random.default_rng(seed)
    real = np.arange(length) < rng.integers(0, length + 1, rows)[:, None]
    return {
        "user_id": rng.integers(1, 12, rows),
        "candidate_item_id": rng.integers(1, 30, rows),
        "candidate_category_id": rng.integers(1, 9, rows),
        "historical_item_ids": rng.integers(1, 30, (rows, length)) * real,
        "historical_category_ids": rng.integers(1, 9, (rows, length)) * real,
    }


def take(batch, rows):
    return {name: values[rows] for name, values in batch.items()}


def make_model(**model_settings):
    keras.utils.set_random_seed(0)
    model = DIN(DINConfig.model_validate({"model": model_settings}), SIZES)
    batch = make_batch(256, seed=1)
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(batch, np.random.default_rng(2).integers(0, 2, 256), batch_size=64, epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def model():
    return make_model()


def test_parameters_are_those_of_the_paper_s_figure_2():
    model = DIN(DINConfig(), SIZES)
    model.build()
    d = 32  # item and category embeddings side by side
    embeddings = (30 + 9 + 12) * 16
    attention = (4 * d * 80 + 80 + 80) + (80 * 40 + 40 + 40) + (40 + 1)  # kernel, bias and Dice's alpha
    width = d + d + 16  # candidate, interest, user
    mlp = (width * 128 + 128 + 128) + (128 * 64 + 64 + 64) + (64 * 32 + 32 + 32) + (32 + 1)
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == embeddings + attention + mlp


@pytest.mark.parametrize("pooling", ["attention", "mean", "none"])
def test_a_score_depends_on_its_own_example_alone(pooling):
    model = make_model(pooling=pooling)
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
    without = make_model(pooling="none")
    np.testing.assert_array_equal(without(batch), without(emptied))


def test_candidate_and_history_share_one_table():
    """Moving the row of item 7 moves the scores of a candidate 7 and of a history with 7 in it, and no other."""
    model = make_model()
    batch = take(make_batch(1, length=2), [0, 0, 0])
    batch["candidate_item_id"] = np.array([7, 5, 5])
    batch["historical_item_ids"] = np.array([[4, 0], [7, 0], [4, 0]])
    before = np.asarray(model(batch))
    rows = np.array(model.embeddings["item"].embeddings, copy=True)
    rows[7] += 1.0
    model.embeddings["item"].embeddings.assign(rows)
    np.testing.assert_array_equal(np.asarray(model(batch)) != before, [True, True, False])


def test_reloads_to_the_same_scores(model, tmp_path):
    batch = make_batch(100)
    model.save(tmp_path / "din.keras")
    reloaded = keras.models.load_model(tmp_path / "din.keras")
    assert reloaded.din_config == model.din_config
    np.testing.assert_array_equal(reloaded(batch), model(batch))
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in reloaded._flatten_layers())


def test_mean_pooling_by_hand():
    keys = np.array([[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]], [[5.0, 5.0]] * 3], np.float32)
    mask = np.array([[True, True, False], [False] * 3])
    np.testing.assert_array_equal(mean_pooling(keys, mask), [[2.0, 3.0], [0.0, 0.0]])


def test_a_vocabulary_without_size_is_named():
    with pytest.raises(ValueError, match="lacks user_id"):
        DIN(DINConfig(), {"item": 3, "category": 3})
