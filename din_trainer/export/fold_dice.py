"""Makes Dice cheaper in the exported model, where its statistics are constants: part of it is folded into the linear layers around it.

Between two linear layers, y = x · (α + (1 − α) · σ(s · x + t)), with s and t from the moving averages. With σ(z) = ½ (1 + tanh(z / 2)) it
becomes (u + b) · (β + tanh(u + c)). u = s / 2 · W h is the output of the layer before, with s / 2 in its kernel and without its bias. b is
s / 2 times that bias, c = b + t / 2 and β = (1 + α) / (1 − α). The layer behind has (1 − α) / s in its kernel. Nothing is approximated.

TensorFlow's tanh takes half the time of its sigmoid. The layer before loses its bias because TensorFlow would fuse kernel and bias into one
operation, which costs more than both for a request of one impression. A layer that adds its bias once an impression keeps c instead: then
tanh needs no addition.
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
        for number, (kernel, bias, activation) in enumerate(chain.hidden):
            scale: Any = 1.0
            following: Any = np.ones(1)
            if isinstance(activation, Dice) and np.abs(1 - np.array(activation.alpha)).min() > _LEAST:
                scale, following = _fold_dice(activation, bias, folded, keeps_bias=chain.adds_once and number == 0)
            folded.weights[id(kernel)] = _scaled(kernel, rest[:, None] * scale)
            rest = following
        folded.weights[id(chain.last)] = _scaled(chain.last, rest[:, None])
    return folded


def _scaled(weight: Any, factor: Any) -> np.ndarray:
    return (np.array(weight, np.float64) * factor).astype(np.float32)


def _fold_dice(layer: Dice, bias: Any, folded: Folded, keeps_bias: bool) -> tuple[np.ndarray, np.ndarray]:
    """Folds a Dice. Returns the factors of the layer before and of the layer behind.

    Args:
        layer: The Dice.
        bias: The bias of the layer before.
        folded: What the Dice and the bias become is added to it.
        keeps_bias: Whether the layer before has c as its bias; otherwise it has none.
    """
    alpha, b = np.array(layer.alpha, np.float64), np.array(bias, np.float64)
    mean, variance = (np.array(x, np.float64) for x in layer.statistics())
    scale = 1 / np.sqrt(variance + layer.epsilon)
    half = scale / 2
    shift, offset = half * (b - mean), (1 + alpha) / (1 - alpha)
    terms = (half * mean, None, offset) if keeps_bias else (half * b, shift, offset)
    folded.dice.append((layer, FoldedDice(*(x if x is None else x.astype(np.float32) for x in terms))))
    folded.weights[id(bias)] = (shift if keeps_bias else np.zeros(b.shape)).astype(np.float32)
    return half, (1 - alpha) / scale
