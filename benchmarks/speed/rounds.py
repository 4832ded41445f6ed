"""Measures several things in alternating rounds, so that a busy moment of the machine does not fall on one of them alone.

Figures of the benchmarks are the best over the rounds: other work on a shared machine only ever slows a round down. Ratios are those of one
round each, since what slows a round down slows both sides of its ratio.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from scipy.stats import binom

from pipeline.console import Console

ROUNDS = 9
CONFIDENCE = 0.95

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


class RatioOfRounds(NamedTuple):
    """The median of the ratios of the rounds, and the interval of the median."""

    median: float
    low: float
    high: float


def ratio_of_rounds(of: Sequence[float], to: Sequence[float]) -> RatioOfRounds:
    """Returns of / to, round by round.

    The interval holds whatever the distribution is: each round lies below the true median with probability ½, so that the k-th smallest and
    the k-th largest ratio enclose it unless fewer than k rounds lie on one side. Of nine rounds they are the second smallest and the second
    largest. Less than six rounds are too few for 95 %: their interval is from the smallest to the largest.
    """
    ratios = np.sort(np.divide(of, to))
    place = max(int(binom.ppf((1 - CONFIDENCE) / 2, len(ratios), 0.5)), 1) - 1
    return RatioOfRounds(float(np.median(ratios)), float(ratios[place]), float(ratios[-1 - place]))


def measure_in_rounds(calls: Mapping[Key, Callable[[], Result]], console: Console) -> dict[Key, list[Result]]:
    """Makes all calls, one after the other, in each of `ROUNDS` rounds.

    Args:
        calls: The measurements by key.
        console: Where the number of each finished round is printed.

    Returns:
        The results of each call, in the order of the rounds.
    """
    results: dict[Key, list[Result]] = {key: [] for key in calls}
    for number in range(ROUNDS):
        for key, call in calls.items():
            results[key].append(call())
        console.print(f"  round {number + 1} of {ROUNDS}", highlight=False)
    return results
