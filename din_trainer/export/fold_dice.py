"""Makes Dice cheaper in the exported model, where its statistics are constants: part of it is folded into the linear layers around it.

Between two linear layers, y = x · (α + (1 − α) · σ(s · x + t)), with s and t from the moving averages, becomes (u + b) · (β + σ(u + c)).
u = s · W h is the output of the layer before, with s in its kernel and without its bias. b is s times that bias, c = b + t and
β = α / (1 − α). The layer behind has (1 − α) / s in its kernel. Nothing is approximated. The layer before loses its bias because TensorFlow
would fuse kernel and bias into one operation, which costs more than both for a request of one impression.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from din_trainer.layers.dense_chain import DenseChain
from din_trainer.layers.dice import Dice, FoldedDice

_LEAST = 1e-3  # a Dice with a smaller |1 − α| is not folded, since a division by it would lose digits


class Folded(NamedTuple):
    """The weights and activations that replace those of a model.

    Attributes:
        weights: New values, by the `id` of the Keras variable.
        dice: The activations that are folded, with their terms.
    """

    weights: dict[int, np.ndarray]
    dice: list[tuple[Dice, FoldedDice]]

    @contextmanager
    def activations(self) -> Iterator[None]:
        """While this is open, the activations compute their folded form, which needs the folded weights."""
        for layer, terms in self.dice:
            layer.folded = terms
        try:
            yield
        finally:
            for layer, _ in self.dice:
                layer.folded = None


def fold(chains: list[DenseChain]) -> Folded:
    """Folds every Dice of some chains."""
    folded = Folded({}, [])
    for chain in chains:
        rest: Any = np.ones(1)  # factors that the outputs of the layer before still need, (inputs,)
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
    """Moves the bias of the layer before into a Dice. Returns the factors of the layer before and of the layer behind."""
    alpha, b = np.array(layer.alpha, np.float64), np.array(bias, np.float64)
    mean, variance = (np.array(x, np.float64) for x in layer.statistics())
    scale = 1 / np.sqrt(variance + layer.epsilon)
    terms = (scale * b, scale * (b - mean), alpha / (1 - alpha))
    folded.dice.append((layer, FoldedDice(*(term.astype(np.float32) for term in terms))))
    folded.weights[id(bias)] = np.zeros(b.shape, np.float32)
    return scale, (1 - alpha) / scale
