"""Dice in fewer operations at serving, where its statistics are constants.

Between two linear layers, y = x · (α + (1 − α) · σ(s · x + t)), with s and t from the moving averages, becomes (u + b) · (β + σ(u + c)):
u = s · W h is the output of the layer before, with s in its kernel and without its bias; b is s times that bias, c = b + t and
β = α / (1 − α); the layer behind has (1 − α) / s in its kernel. Nothing is approximated. The bias is not left in the layer before, because
TensorFlow would fuse the two into an operation that costs more than both where a request is one impression.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from din_trainer.layers.dense_chain import DenseChain
from din_trainer.layers.dice import Dice, FoldedDice

_LEAST = 1e-3  # of |1 − α|: below it, dividing by it would lose digits, and the layer stays as it is


class Folded(NamedTuple):
    """What stands for a model's weights and activations.

    Attributes:
        weights: New values by the `id` of the Keras variable.
        dice: The activations that are folded, with their terms.
    """

    weights: dict[int, np.ndarray]
    dice: list[tuple[Dice, FoldedDice]]

    @contextmanager
    def activations(self) -> Iterator[None]:
        """Inside, the folded activations expect the folded weights."""
        for layer, terms in self.dice:
            layer.folded = terms
        try:
            yield
        finally:
            for layer, _ in self.dice:
                layer.folded = None


def fold(chains: list[DenseChain]) -> Folded:
    """Folds all activations of some chains that are Dice."""
    folded = Folded({}, [])
    for chain in chains:
        rest: Any = np.ones(1)  # what the outputs of the layer before are still to be multiplied by, (inputs,)
        for kernel, bias, activation in chain.hidden:
            scale: Any = 1.0
            following: Any = np.ones(1)
            if isinstance(activation, Dice) and np.abs(1 - np.array(activation.alpha)).min() > _LEAST:
                scale, following = _fold_dice(activation, bias, folded)
            folded.weights[id(kernel)] = _scaled(kernel, rest[:, None] * scale)
            rest = following
        folded.weights[id(chain.last)] = _scaled(chain.last, rest[:, None])
    return folded


def _scaled(weight: Any, factor: Any) -> np.ndarray:
    return (np.array(weight, np.float64) * factor).astype(np.float32)


def _fold_dice(layer: Dice, bias: Any, folded: Folded) -> tuple[np.ndarray, np.ndarray]:
    """Takes over the bias before a Dice; returns the factors of the layer before it and of the one behind."""
    alpha, b = np.array(layer.alpha, np.float64), np.array(bias, np.float64)
    mean, variance = (np.array(x, np.float64) for x in layer.statistics())
    scale = 1 / np.sqrt(variance + layer.epsilon)
    terms = (scale * b, scale * (b - mean), alpha / (1 - alpha))
    folded.dice.append((layer, FoldedDice(*(term.astype(np.float32) for term in terms))))
    folded.weights[id(bias)] = np.zeros(b.shape, np.float32)
    return scale, (1 - alpha) / scale
