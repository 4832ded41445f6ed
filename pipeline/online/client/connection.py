"""What the client needs from a connection to a model server, whatever the protocol."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from components.serving.model.impression_tensors import Tensors

RETRY_SECONDS = 0.1  # the pause before the first retry; it doubles each time
MAX_ANSWER_BYTES = 64 << 20  # a larger answer is refused

Tensor = tuple[str, tuple[int, ...]]  # an input or output: type, such as `DT_INT64`, and shape with −1 for unknown sizes


class Signature(NamedTuple):
    """A signature of the served version: its inputs and outputs by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class Connection(ABC):
    """A served model that is asked over one protocol. Threads may share it."""

    @abstractmethod
    def signatures(self) -> dict[str, Signature]:
        """Returns the signatures of the served version by name.

        Raises:
            ServingError: The server gave no usable answer.
        """

    @abstractmethod
    def run(self, signature: str, tensors: Tensors, shape: tuple[int, ...], request_id: bytes = b"") -> np.ndarray:
        """Returns the probabilities that a signature gives: float32 of this shape.

        Args:
            signature: The name of the signature.
            tensors: Its inputs.
            shape: That of the answer.
            request_id: Goes with a gRPC request, into the server's log of requests. REST has no place for it.

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
