"""What the client needs from a connection to a model server, whatever the protocol."""

from abc import ABC, abstractmethod

import numpy as np

from components.serving.model.impression_tensors import Tensors

RETRY_SECONDS = 0.1  # the pause before the first retry; it doubles each time

SignatureInputs = dict[str, tuple[str, int]]  # the inputs of a signature by name: type, such as `DT_INT64`, and number of dimensions


class Connection(ABC):
    """A served model that is asked over one protocol."""

    @abstractmethod
    def signatures(self) -> dict[str, SignatureInputs]:
        """Returns the inputs of each signature of the served version.

        Raises:
            ServingError: The server gave no usable answer.
        """

    @abstractmethod
    def run(self, signature: str, tensors: Tensors) -> np.ndarray:
        """Returns the probabilities that a signature gives.

        Raises:
            ServingError: The server gave no usable answer.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends the connection."""


def one_line(text: object) -> str:
    """Returns a message as one line of at most 500 characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= 500 else line[:500] + "…"
