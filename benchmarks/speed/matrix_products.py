"""Floating-point operations: what the matrix products of the measured network need, and what the machine can do in a second."""

import itertools
import time

import numpy as np

DIM, ATTENTION, MLP = 16, (80, 40), (128, 64, 32)  # the sizes of the network in all speed benchmarks


def peak_flops() -> float:
    """Returns the floating-point operations a second of a large single-precision matrix product: the best of some, on all cores."""
    size = 2048
    matrix = np.random.default_rng(0).random((size, size), np.float32)
    return 2 * size**3 / min(_seconds_of_product(matrix) for _ in range(8))


def _seconds_of_product(matrix: np.ndarray) -> float:
    begin = time.perf_counter()
    matrix @ matrix
    return time.perf_counter() - begin


def training_flops(events: float) -> float:
    """Returns the operations of the matrix products in a training step, for one impression with so many events.

    A multiply-add counts as two operations. A step goes through the network three times: once forward, twice backward. The first layer of
    the attention unit is split: D of its columns are computed once an impression, 2 D once an event.
    """
    attention = events * (2 * DIM * ATTENTION[0] + ATTENTION[0] * ATTENTION[1] + ATTENTION[1]) + DIM * ATTENTION[0]
    return 2 * 3 * (attention + _mlp_multiply_adds(3 * DIM))  # user, candidate and interest come in


def ranking_flops(history: int, candidates: int) -> float:
    """Returns the operations of the matrix products of `rank` that cannot be shared between candidates.

    These are the product block and the second layer of the attention unit, for each candidate and event, and the MLP, for each candidate.
    """
    pair = 2 * DIM * ATTENTION[0] + ATTENTION[0] * ATTENTION[1] + ATTENTION[1]  # an event is an item and a category
    return 2 * candidates * (history * pair + _mlp_multiply_adds(5 * DIM))  # user, and candidate and interest as item and category


def _mlp_multiply_adds(width: int) -> int:
    return sum(a * b for a, b in itertools.pairwise((width, *MLP, 1)))
