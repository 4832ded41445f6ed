"""The plain Keras network computes what ours does."""

import keras
import numpy as np
import pytest

from benchmarks.peers.workers import plain_keras_din
from din_trainer.config import DINConfig, ModelConfig
from din_trainer.features import FeatureConfig
from din_trainer.models.make_model import make_model
from tests.transforming import with_large_weights

SIZES = {"user": 6, "item": 9, "category": 5}
HISTORY = 4


@pytest.fixture(scope="module")
def core():
    return plain_keras_din.make_core(SIZES, HISTORY)


@pytest.fixture
def ids():
    """Rows of the tables, histories of 4, 2 and no events."""
    rng = np.random.default_rng(1)
    events = np.arange(HISTORY) < np.array([[4], [2], [0]])
    return {
        "user_id": rng.integers(1, SIZES["user"], 3),
        "candidate_item_id": rng.integers(1, SIZES["item"], 3),
        "candidate_category_id": rng.integers(1, SIZES["category"], 3),
        "historical_item_ids": rng.integers(1, SIZES["item"], (3, HISTORY)) * events,
        "historical_category_ids": rng.integers(1, SIZES["category"], (3, HISTORY)) * events,
    }


def _copy_weights(ours, core):
    """Gives the plain network the weights of ours."""

    def dense(layer, kernel, bias):
        layer.set_weights([np.array(kernel), np.reshape(bias, layer.units)])

    def dice(layer, original):
        mean, variance = map(np.array, original.statistics())
        layer.alpha.assign(original.alpha)
        layer.normalise.moving_mean.assign(mean)
        layer.normalise.moving_variance.assign(variance)

    for vocabulary, table in (("user", "user_id"), ("item", "item"), ("category", "category")):
        core.get_layer(f"embedding_{vocabulary}").set_weights([np.array(ours.tables[table].embeddings)])
    unit, mlp = ours.attention["clicks"], ours.mlp
    dense(core.get_layer("attention_0"), unit.kernel, unit.bias)
    dense(core.get_layer("attention_1"), unit.dense[0].kernel, unit.dense[0].bias)
    dense(core.get_layer("attention_score"), unit.score.kernel, unit.score_bias)
    for number, layer in enumerate(mlp.dense):
        dense(core.get_layer(f"mlp_{number}"), layer.kernel, layer.bias)
    dense(core.get_layer("probability"), mlp.logit.kernel, mlp.logit_bias)
    plain = [layer for layer in core.layers if isinstance(layer, plain_keras_din.Dice)]
    for layer, original in zip(plain, [*unit.activations, *mlp.activations], strict=True):
        dice(layer, original)


def test_the_plain_keras_network_is_ours(core, ids):
    config = DINConfig(features=FeatureConfig(history_length=HISTORY), model=ModelConfig(interactions="none"))
    ours = with_large_weights(make_model(config, {**SIZES, "user_id": SIZES["user"]}))
    _copy_weights(ours, core)
    expected = keras.ops.sigmoid(ours(ids)).numpy()
    assert len(set(expected.round(3))) == 3
    np.testing.assert_allclose(np.array(core(ids))[:, 0], expected, atol=1e-6)


def test_plain_keras_looks_raw_ids_up(core, ids):
    vocabularies = {"user": [30, 40, 50, 60], "item": list(range(100, 107)), "category": [7, 8, 9]}  # rows 0 and 1 are others
    rows = {"user_id": "user", "candidate_item_id": "item", "historical_item_ids": "item"}
    raw = {
        name: np.array([-1, 999, *vocabularies[rows.get(name, "category")]])[values]  # padding and an unknown id
        for name, values in ids.items()
    }
    np.testing.assert_allclose(plain_keras_din.make_model(core, vocabularies)(raw), core(ids), atol=1e-7)
