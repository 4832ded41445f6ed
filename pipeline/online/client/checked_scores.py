"""Checks that what a server answered is what was asked for: one probability for each impression or candidate."""

from typing import Any

import numpy as np

from pipeline.online.client.connection import one_line
from pipeline.online.client.serving_errors import ServingError


def checked_scores(values: Any, shape: tuple[int, ...], url: str, told: object) -> np.ndarray:
    """Returns the probabilities of an answer, float32 of this shape.

    Args:
        values: The answer: nested lists of JSON, or an array.
        shape: (B,), or (B, N) for N candidates.
        url: The server, for the message.
        told: The answer as text, for the message.

    Raises:
        ServingError: The values have another shape, or one of them is no number from 0 to 1.
    """
    try:
        scores = np.array(_numbers(values.tolist() if isinstance(values, np.ndarray) else values, shape), np.float32).reshape(shape)
        if ((scores >= 0) & (scores <= 1)).all():  # false for NaN
            return scores
    except (TypeError, OverflowError):
        pass
    rows = "" if len(shape) == 1 else f"{shape[0]} lists of "
    raise ServingError(
        f"{url} answered {one_line(told)}, but {rows}{shape[-1]} {'probability is' if shape[-1] == 1 else 'probabilities are'} needed: "
        "does it serve a model of this pipeline?"
    )


def _numbers(values: Any, shape: tuple[int, ...]) -> list[float]:
    """Returns the numbers of nested lists.

    Raises:
        TypeError: The lists do not have this shape, or they hold something else than numbers.
    """
    if not shape:
        if type(values) not in (int, float):
            raise TypeError
        return [values]
    if not isinstance(values, list) or len(values) != shape[0]:
        raise TypeError
    return [number for element in values for number in _numbers(element, shape[1:])]
