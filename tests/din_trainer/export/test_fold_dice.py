"""Folding Dice into the layers around it does not change a score."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from din_trainer.config import DINConfig
from din_trainer.export.fold_dice import fold
from din_trainer.layers.dice import Dice
from din_trainer.models.make_model import make_model
from tests.din_trainer.batches import SIZES, make_batch
from tests.transforming import with_large_weights


def make(**settings):
    return with_large_weights(make_model(DINConfig.model_validate({"model": settings}), SIZES))


def dice_layers(model):
    return [activation for chain in model.dense_chains() for _, _, activation in chain.hidden if isinstance(activation, Dice)]


def folded_scores(model, folded, batch):
    weights = [(weight, tf.constant(folded.weights[id(weight)])) for weight in model.weights if id(weight) in folded.weights]
    with keras.StatelessScope(state_mapping=weights), folded.activations():
        return model(batch)


def check_scores(model, folded, batch, expected):
    """Logits up to 20 agree to five digits."""
    np.testing.assert_allclose(folded_scores(model, folded, batch), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("settings", "count"), [({}, 5), ({"kind": "base"}, 3), ({"activation": "prelu"}, 0)], ids=str)
def test_every_dice_is_folded_and_the_scores_stay(settings, count):
    model, batch = make(**settings), make_batch(50)
    expected = np.asarray(model(batch))
    assert expected.std() > 1
    folded = fold(model.dense_chains())
    assert [layer for layer, _ in folded.dice] == dice_layers(model) and len(folded.dice) == count
    check_scores(model, folded, batch, expected)
    np.testing.assert_array_equal(model(batch), expected)  # the model itself is as it was


def test_a_dice_that_cannot_be_folded_is_left_alone():
    """α = 1 makes it the identity, which a division by 1 − α cannot express."""
    model, batch = make(), make_batch(50)
    identity = model.mlp.activations[0]
    identity.alpha.assign(np.ones(identity.alpha.shape))
    folded = fold(model.dense_chains())
    assert [layer for layer, _ in folded.dice] == [layer for layer in dice_layers(model) if layer is not identity]
    check_scores(model, folded, batch, np.asarray(model(batch)))
