"""The base models of the paper against NumPy, with the layers' own weights."""

import keras
import numpy as np
import pytest

from din_trainer.config import DINConfig
from din_trainer.models.make_model import MODELS, make_model
from tests.din_trainer.batches import SIZES, make_batch


def make(kind, numbers=0, **features):
    keras.utils.set_random_seed(3)
    context = {f"number_{i}": {"kind": "numeric", "dtype": "float"} for i in range(numbers)}
    model = make_model(
        DINConfig.model_validate({"features": {"context": context, **features}, "model": {"kind": kind, "hidden": [5]}}), SIZES
    )
    for weight in model.trainable_weights:  # so that no term is zero
        weight.assign(np.random.default_rng(len(weight.shape)).normal(scale=0.3, size=weight.shape))
    return model


def table(layer):
    return layer.embeddings.numpy()


def pooled(rows, history):
    """The sum of the rows of each history's events."""
    return np.stack([rows[ids[ids > 0]].sum(axis=0) for ids in history])


def fields(model, batch):
    """Candidate fields, interests and the user, in order."""
    items, categories, users = (table(model.tables[name]) for name in ("item", "category", "user_id"))
    return [
        items[batch["candidate_item_id"]],
        categories[batch["candidate_category_id"]],
        pooled(items, batch["historical_item_ids"]),
        pooled(categories, batch["historical_category_ids"]),
        users[batch["user_id"]],
    ]


def mlp(model, x):
    """One hidden layer with an untrained Dice."""
    (dense,), (dice,), logit = model.mlp.dense, model.mlp.activations, model.mlp.logit
    h = x @ dense.kernel.numpy() + dense.bias.numpy()
    gate = 1 / (1 + np.exp(-h))
    h = gate * h + (1 - gate) * dice.alpha.numpy() * h
    return (h @ logit.kernel.numpy())[:, 0] + float(model.mlp.logit_bias)


def linear(model, batch):
    items, categories, users = (table(model.linear.tables[name])[:, 0] for name in ("item", "category", "user_id"))
    ids = items[batch["candidate_item_id"]] + categories[batch["candidate_category_id"]] + users[batch["user_id"]]
    return (
        float(model.linear.bias) + ids + pooled(items, batch["historical_item_ids"]) + pooled(categories, batch["historical_category_ids"])
    )


@pytest.fixture(scope="module")
def batch():
    return make_batch(40)


def test_lr_is_a_sum_of_weights(batch):
    model = make("lr", numbers=2)
    rng = np.random.default_rng(0)
    numbers = {f"number_{i}": rng.normal(size=40).astype(np.float32) for i in range(2)}
    expected = linear(model, batch) + np.column_stack(list(numbers.values())) @ model.linear.number_weights.numpy()[:, 0]
    np.testing.assert_allclose(model({**batch, **numbers}), expected, rtol=1e-4, atol=1e-5)


def test_base_sums_histories(batch):
    model = make("base")
    np.testing.assert_allclose(model(batch), mlp(model, np.concatenate(fields(model, batch), axis=1)), rtol=1e-4, atol=1e-5)


def test_wide_deep_adds_ids_and_products(batch):
    model = make("wide_deep")
    parts = fields(model, batch)
    products = np.concatenate([parts[0] * parts[2], parts[1] * parts[3]], axis=1) @ model.product.kernel.numpy()[:, 0]
    expected = mlp(model, np.concatenate(parts, axis=1)) + linear(model, batch) + products
    np.testing.assert_allclose(model(batch), expected, rtol=1e-4, atol=1e-5)


def projected(model, parts):
    """Categories (4 wide here) brought to the size of items."""
    matrices = model.projection.matrices
    assert [matrix is None for matrix in matrices] == [True, False, True, False, True]
    return [part if matrix is None else part @ matrix.kernel.numpy() for part, matrix in zip(parts, matrices, strict=True)]


BOTH_SIZES = {
    "behaviours": {
        "item": {"candidate": "candidate_item_id", "history": "historical_item_ids"},
        "category": {"candidate": "candidate_category_id", "history": "historical_category_ids", "dim": 4},
    }
}


def test_pnn_feeds_the_inner_products_of_all_pairs(batch):
    model = make("pnn", **BOTH_SIZES)
    parts = fields(model, batch)
    same_size = projected(model, parts)
    products = [(same_size[i] * same_size[j]).sum(axis=1) for i in range(5) for j in range(i + 1, 5)]
    expected = mlp(model, np.column_stack([*parts, *products]))
    np.testing.assert_allclose(model(batch), expected, rtol=1e-3, atol=1e-4)


def test_deepfm_adds_the_products_of_all_pairs(batch):
    model = make("deepfm", **BOTH_SIZES)
    parts = fields(model, batch)
    same_size = projected(model, parts)
    pairs = sum((same_size[i] * same_size[j]).sum(axis=1) for i in range(5) for j in range(i + 1, 5))
    expected = mlp(model, np.concatenate(parts, axis=1)) + linear(model, batch) + pairs
    np.testing.assert_allclose(model(batch), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("history", [True, False])
def test_each_trains_saves_and_reloads(kind, history, batch, tmp_path):
    model = make_model(DINConfig.model_validate({"model": {"kind": kind, "history": history}}), SIZES)
    labels = np.random.default_rng(1).integers(0, 2, 40)
    before = [weight.numpy() for weight in model.trainable_weights]
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True), run_eagerly=True)
    model.fit(batch, labels, batch_size=20, verbose=0)
    moved = [(w.numpy() != b).any() for w, b in zip(model.trainable_weights, before, strict=True)]
    assert all(moved), [w.path for w, m in zip(model.trainable_weights, moved, strict=True) if not m]
    emptied = {name: values * 0 if name.startswith("historical") else values for name, values in batch.items()}
    assert history == (np.asarray(model(batch)) != np.asarray(model(emptied))).any()
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.keras")(batch), model(batch))
