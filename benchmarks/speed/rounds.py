"""Measures several things in alternating rounds, so that a busy moment of the machine does not fall on one of them alone.

Figures of the benchmarks are the best over the rounds: other work on a shared machine only ever slows a round down.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

from pipeline.console import Console

ROUNDS = 7

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


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
