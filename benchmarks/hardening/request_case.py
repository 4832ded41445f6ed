"""One request of the fuzz, and what the model may answer to it."""

from typing import Literal, NamedTuple

import numpy as np

Arrays = dict[str, np.ndarray]
Expect = Literal["scores", "either"]


class Case(NamedTuple):
    """A request.

    Attributes:
        signature: The signature that is called.
        inputs: The request's tensors by name.
        rows: The shape of the answer: the number of impressions or users, and for `rank` the number of candidates; None if the inputs
            contradict each other.
        expect: `scores` if the request is legal, however odd; `either` if the model may refuse it.
        what: What is special about the request, in a few words each.
    """

    signature: str
    inputs: Arrays
    rows: tuple[int, ...] | None
    expect: Expect
    what: list[str]
